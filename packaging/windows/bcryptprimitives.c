/* Wine before 9 has no bcryptprimitives.dll, whose one function Rust's standard library imports. Beside netmon.exe this
 * stands in for it under such a wine; Windows has its own, which it never leaves to a file beside a program. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG size); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T size)
{
    return SystemFunction036(buffer, (ULONG)size);
}
