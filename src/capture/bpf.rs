//! Classic BPF programs, run on captured bytes.
//!
//! libpcap compiles expressions; this runs what it compiled, because libpcap's own evaluation takes the captured length
//! for the wire length, so that `len`, `less` and `greater` would see the snapshot length. Semantics are those of the
//! kernel and of libpcap (McCanne and Jacobson 1993, pcap's bpf_filter.c): a load past the captured bytes or a division
//! by zero ends the program without a match. Jumps only go forward, so every program ends.

/// Words of scratch memory (BPF_MEMWORDS).
const MEMORY: usize = 16;

/// A program whose instructions are all known and whose jumps all stay inside.
#[derive(Clone, Debug)]
pub(super) struct Program(Vec<Op>);

/// An instruction as libpcap writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) jump_true: u8,
    pub(super) jump_false: u8,
    pub(super) k: u32,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Load(Size, Base, u32),
    LoadConstant(u32),
    LoadLength,
    LoadMemory(u8),
    LoadXConstant(u32),
    LoadXLength,
    LoadXMemory(u8),
    /// Four times the low nibble of a byte: the length of an IPv4 header.
    LoadXHeaderLength(u32),
    Store(u8),
    StoreX(u8),
    Arithmetic(Arithmetic, Operand),
    Negate,
    Jump(usize),
    Branch(Test, Operand, usize, usize),
    Return(Verdict),
    CopyToX,
    CopyToA,
}

#[derive(Clone, Copy, Debug)]
enum Size {
    Word,
    Half,
    Byte,
}

#[derive(Clone, Copy, Debug)]
enum Base {
    Start,
    X,
}

#[derive(Clone, Copy, Debug)]
enum Operand {
    Constant(u32),
    X,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    Constant(u32),
    A,
}

#[derive(Clone, Copy, Debug)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Or,
    And,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

impl Program {
    /// Checks and decodes a program; `None` where an instruction is unknown, a jump leaves the program, or its last
    /// instruction does not return.
    pub(super) fn decode(instructions: &[Instruction]) -> Option<Self> {
        let ops = instructions.iter().enumerate().map(|(at, instruction)| op(*instruction, at, instructions.len()));
        let ops: Vec<Op> = ops.collect::<Option<_>>()?;
        matches!(ops.last(), Some(Op::Return(_))).then_some(Self(ops))
    }

    /// Whether the program matches a frame of `wire_len` bytes, of which `bytes` were captured.
    pub(super) fn matches(&self, bytes: &[u8], wire_len: u32) -> bool {
        self.run(bytes, wire_len).is_some_and(|accepted| accepted != 0)
    }

    /// What the program returns; `None` where a load or a division is not possible.
    pub(super) fn run(&self, bytes: &[u8], wire_len: u32) -> Option<u32> {
        let (mut a, mut x, mut memory, mut at) = (0_u32, 0_u32, [0_u32; MEMORY], 0_usize);
        loop {
            let op = *self.0.get(at)?;
            at += 1;
            match op {
                Op::Load(size, Base::Start, k) => a = load(bytes, size, k)?,
                Op::Load(size, Base::X, k) => a = load(bytes, size, x.checked_add(k)?)?,
                Op::LoadConstant(k) => a = k,
                Op::LoadLength => a = wire_len,
                Op::LoadMemory(slot) => a = *memory.get(usize::from(slot))?,
                Op::LoadXConstant(k) => x = k,
                Op::LoadXLength => x = wire_len,
                Op::LoadXMemory(slot) => x = *memory.get(usize::from(slot))?,
                Op::LoadXHeaderLength(k) => x = (load(bytes, Size::Byte, k)? & 0xf) << 2,
                Op::Store(slot) => *memory.get_mut(usize::from(slot))? = a,
                Op::StoreX(slot) => *memory.get_mut(usize::from(slot))? = x,
                Op::Arithmetic(operation, operand) => a = operation.apply(a, operand.value(x))?,
                Op::Negate => a = a.wrapping_neg(),
                Op::Jump(target) => at = target,
                Op::Branch(test, operand, yes, no) => at = if test.holds(a, operand.value(x)) { yes } else { no },
                Op::Return(Verdict::Constant(accepted)) => return Some(accepted),
                Op::Return(Verdict::A) => return Some(a),
                Op::CopyToX => x = a,
                Op::CopyToA => a = x,
            }
        }
    }
}

#[inline]
fn load(bytes: &[u8], size: Size, at: u32) -> Option<u32> {
    let rest = bytes.get(at as usize..)?;
    match size {
        Size::Word => rest.first_chunk().map(|chunk| u32::from_be_bytes(*chunk)),
        Size::Half => rest.first_chunk().map(|chunk| u32::from(u16::from_be_bytes(*chunk))),
        Size::Byte => rest.first().map(|byte| u32::from(*byte)),
    }
}

impl Operand {
    #[inline]
    fn value(self, x: u32) -> u32 {
        match self {
            Self::Constant(k) => k,
            Self::X => x,
        }
    }
}

impl Arithmetic {
    /// `None` for a division by zero; a shift by 32 or more leaves nothing.
    #[inline]
    fn apply(self, a: u32, operand: u32) -> Option<u32> {
        Some(match self {
            Self::Add => a.wrapping_add(operand),
            Self::Subtract => a.wrapping_sub(operand),
            Self::Multiply => a.wrapping_mul(operand),
            Self::Divide => a.checked_div(operand)?,
            Self::Modulo => a.checked_rem(operand)?,
            Self::Or => a | operand,
            Self::And => a & operand,
            Self::Xor => a ^ operand,
            Self::ShiftLeft => a.checked_shl(operand).unwrap_or(0),
            Self::ShiftRight => a.checked_shr(operand).unwrap_or(0),
        })
    }
}

impl Test {
    #[inline]
    fn holds(self, a: u32, operand: u32) -> bool {
        match self {
            Self::Equal => a == operand,
            Self::Greater => a > operand,
            Self::GreaterOrEqual => a >= operand,
            Self::AnyBit => a & operand != 0,
        }
    }
}

/// Decodes the instruction at `at` of a program of `length`. The numbers are those of net/bpf.h.
fn op(instruction: Instruction, at: usize, length: usize) -> Option<Op> {
    let Instruction { code, jump_true, jump_false, k } = instruction;
    let slot = || u8::try_from(k).ok().filter(|slot| usize::from(*slot) < MEMORY);
    Some(match code {
        0x20 => Op::Load(Size::Word, Base::Start, k),
        0x28 => Op::Load(Size::Half, Base::Start, k),
        0x30 => Op::Load(Size::Byte, Base::Start, k),
        0x40 => Op::Load(Size::Word, Base::X, k),
        0x48 => Op::Load(Size::Half, Base::X, k),
        0x50 => Op::Load(Size::Byte, Base::X, k),
        0x00 => Op::LoadConstant(k),
        0x80 => Op::LoadLength,
        0x60 => Op::LoadMemory(slot()?),
        0x01 => Op::LoadXConstant(k),
        0x81 => Op::LoadXLength,
        0x61 => Op::LoadXMemory(slot()?),
        0xb1 => Op::LoadXHeaderLength(k),
        0x02 => Op::Store(slot()?),
        0x03 => Op::StoreX(slot()?),
        0x84 => Op::Negate,
        0x05 => Op::Jump(target(at, k as usize, length)?),
        0x06 => Op::Return(Verdict::Constant(k)),
        0x16 => Op::Return(Verdict::A),
        0x07 => Op::CopyToX,
        0x87 => Op::CopyToA,
        _ if code & 0x07 == 0x04 => Op::Arithmetic(arithmetic(code & 0xf0)?, operand(code, k)),
        _ if code & 0x07 == 0x05 => {
            let (yes, no) = (usize::from(jump_true), usize::from(jump_false));
            Op::Branch(test(code & 0xf0)?, operand(code, k), target(at, yes, length)?, target(at, no, length)?)
        }
        _ => return None,
    })
}

/// Jumps count from the next instruction.
fn target(at: usize, offset: usize, length: usize) -> Option<usize> {
    at.checked_add(1)?.checked_add(offset).filter(|target| *target < length)
}

fn operand(code: u16, k: u32) -> Operand {
    if code & 0x08 == 0 { Operand::Constant(k) } else { Operand::X }
}

fn arithmetic(bits: u16) -> Option<Arithmetic> {
    Some(match bits {
        0x00 => Arithmetic::Add,
        0x10 => Arithmetic::Subtract,
        0x20 => Arithmetic::Multiply,
        0x30 => Arithmetic::Divide,
        0x40 => Arithmetic::Or,
        0x50 => Arithmetic::And,
        0x60 => Arithmetic::ShiftLeft,
        0x70 => Arithmetic::ShiftRight,
        0x90 => Arithmetic::Modulo,
        0xa0 => Arithmetic::Xor,
        _ => return None,
    })
}

fn test(bits: u16) -> Option<Test> {
    Some(match bits {
        0x10 => Test::Equal,
        0x20 => Test::Greater,
        0x30 => Test::GreaterOrEqual,
        0x40 => Test::AnyBit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Option<Program> {
        let instructions =
            instructions.iter().map(|&(code, jump_true, jump_false, k)| Instruction { code, jump_true, jump_false, k });
        Program::decode(&instructions.collect::<Vec<_>>())
    }

    #[test]
    fn programs_that_could_run_out_are_refused() {
        assert!(program(&[]).is_none());
        assert!(program(&[(0x00, 0, 0, 1)]).is_none(), "no return");
        assert!(program(&[(0x05, 0, 0, 1), (0x06, 0, 0, 1)]).is_none(), "jump outside");
        assert!(program(&[(0x15, 0, 1, 1), (0x06, 0, 0, 1)]).is_none(), "branch outside");
        assert!(program(&[(0x02, 0, 0, 16), (0x06, 0, 0, 1)]).is_none(), "memory outside");
        assert!(program(&[(0xff, 0, 0, 0), (0x06, 0, 0, 1)]).is_none(), "unknown");
    }

    #[test]
    fn a_load_past_the_captured_bytes_and_a_division_by_zero_do_not_match() {
        let load = program(&[(0x20, 0, 0, 1), (0x06, 0, 0, 1)]).unwrap();
        assert!(load.matches(&[0; 5], 5) && !load.matches(&[0; 4], 100));
        let wrap = program(&[(0x01, 0, 0, u32::MAX), (0x50, 0, 0, 1), (0x06, 0, 0, 1)]).unwrap();
        assert!(!wrap.matches(&[0; 4], 4));
        let divide = program(&[(0x00, 0, 0, 1), (0x3c, 0, 0, 0), (0x06, 0, 0, 1)]).unwrap();
        assert!(!divide.matches(&[], 0));
    }

    #[test]
    fn every_operation_computes_what_it_says() {
        for (code, a, k, expected) in [
            (0x04, 5, u32::MAX, 4),
            (0x14, 5, 6, u32::MAX),
            (0x24, 5, 6, 30),
            (0x34, 31, 6, 5),
            (0x44, 5, 2, 7),
            (0x54, 5, 4, 4),
            (0x64, 5, 33, 0),
            (0x64, 5, 3, 40),
            (0x74, 40, 3, 5),
            (0x74, 40, 32, 0),
            (0x94, 31, 6, 1),
            (0xa4, 5, 1, 4),
            (0x84, 5, 0, 5_u32.wrapping_neg()),
        ] {
            // A = a; A = A op k; X = A; A = expected; match if A == X
            let program = program(&[
                (0x00, 0, 0, a),
                (code, 0, 0, k),
                (0x07, 0, 0, 0),
                (0x00, 0, 0, expected),
                (0x1d, 0, 1, 0),
                (0x06, 0, 0, 1),
                (0x06, 0, 0, 0),
            ]);
            assert!(program.unwrap().matches(&[], 0), "{code:#x}");
        }
    }

    #[test]
    fn memory_and_registers_keep_what_is_stored() {
        let program = program(&[
            (0x80, 0, 0, 0),
            (0x02, 0, 0, 3),
            (0x81, 0, 0, 0),
            (0x03, 0, 0, 15),
            (0x60, 0, 0, 15),
            (0x61, 0, 0, 3),
            (0x1c, 0, 0, 0),
            (0x87, 0, 0, 0),
            (0x16, 0, 0, 0),
        ]);
        assert!(program.unwrap().matches(&[], 9));
    }
}
