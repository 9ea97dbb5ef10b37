//! Who may do what: users and tokens, and what listeners allow without them.
//!
//! Reading needs nobody's leave, unless there are users. Changing something is allowed on loopback and unix sockets to
//! whoever gets there (pages of other origins do not, see the [guard](super::guard)), elsewhere only with a token or as a
//! user. Passwords and tokens are never logged, and wrong ones take as long as right ones.

mod limit;
mod passwords;
mod tls;
mod web_config;

pub(super) use tls::Tls;
pub use web_config::WebConfigError;

use super::guard::Arrival;
use super::problem::Problem;
use arc_swap::ArcSwap;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Method, StatusCode};
use hmac::{Hmac, Mac};
use limit::Guesses;
use passwords::{Passwords, Verdict};
use sha2::Sha256;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use web_config::WebConfig;

/// Whether the API may change anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// On loopback and unix sockets, and elsewhere for who is known.
    #[default]
    Auto,
    /// The same, and there must be somebody to be known.
    On,
    /// Nowhere.
    Off,
}

impl Control {
    /// All.
    pub const ALL: [Self; 3] = [Self::Auto, Self::On, Self::Off];

    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "true",
            Self::Off => "false",
        }
    }
}

/// Why access cannot be set up. [`AccessError::hint`] says what to do.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The token cannot be read.
    #[error("cannot read the token file `{}`", path.display())]
    Token {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The token is too short to be one.
    #[error("the token in `{}` has {length} characters, allowed are {MIN_TOKEN} to {MAX_TOKEN} visible ones", path.display())]
    WeakToken {
        /// Where.
        path: PathBuf,
        /// Found.
        length: usize,
    },
    /// The web configuration.
    #[error(transparent)]
    Web(#[from] WebConfigError),
    /// Control was asked for where nobody can be known.
    #[error("`api.control` is true and `{bind}` can be reached from elsewhere, but nobody could be known there")]
    NobodyKnown {
        /// The listener.
        bind: String,
    },
}

impl AccessError {
    /// The key of the configuration that it is about.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Token { .. } | Self::WeakToken { .. } => "api.auth.token_file",
            Self::Web(_) => "api.web_config_file",
            Self::NobodyKnown { .. } => "api.control",
        }
    }

    /// Whether a file cannot be read here, rather than being wrong.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Token { .. } | Self::Web(WebConfigError::Unreadable { .. }))
    }

    /// What the user can do about it, in one line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Token { .. } => Some(READABLE.into()),
            Self::WeakToken { .. } => Some("`openssl rand -hex 32` makes a good one".into()),
            Self::Web(error) => error.hint(),
            Self::NobodyKnown { .. } => Some(
                "set `api.auth.token_file` or users in `api.web_config_file`, or leave `api.control` at auto".into(),
            ),
        }
    }
}

/// Said where a file cannot be read.
const READABLE: &str = "it is read as the user that netmon becomes (`privileges.user`): chown or chmod it for that one";

/// A token has at least this many characters.
pub const MIN_TOKEN: usize = 16;
/// And at most this many.
pub const MAX_TOKEN: usize = 1024;

/// Who is known, read from the files of a configuration.
#[derive(Debug, Default)]
pub struct Known {
    control: Control,
    token: Option<Vec<u8>>,
    web: WebConfig,
    tls: Option<Tls>,
}

impl Known {
    /// Reads the files that `config` names.
    ///
    /// # Errors
    /// What cannot be read or is not right in them.
    pub fn load(config: &super::Config) -> Result<Self, AccessError> {
        let token = config.token_file.as_ref().map(read_token).transpose()?;
        let web = config.web_config_file.as_ref().map(|path| WebConfig::load(path)).transpose()?.unwrap_or_default();
        let tls = web.tls.as_ref().map(Tls::load).transpose()?;
        let known = Self { control: config.control, token, web, tls };
        let reachable = config.bind.iter().find(|bind| !bind.is_private());
        match reachable.filter(|_| config.control == Control::On && !known.is_anybody()) {
            Some(bind) => Err(AccessError::NobodyKnown { bind: bind.to_string() }),
            None => Ok(known),
        }
    }

    /// The files that it was read from, beside those that the configuration names.
    pub fn files(&self) -> Vec<PathBuf> {
        self.web.tls.iter().flat_map(|tls| tls.files().into_iter().map(ToOwned::to_owned)).collect()
    }

    /// Whether listeners speak TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    fn is_anybody(&self) -> bool {
        self.token.is_some() || !self.web.users.is_empty()
    }
}

fn read_token(path: &PathBuf) -> Result<Vec<u8>, AccessError> {
    let text = std::fs::read_to_string(path).map_err(|source| AccessError::Token { path: path.clone(), source })?;
    let token = text.trim();
    let length = token.chars().count();
    if !(MIN_TOKEN..=MAX_TOKEN).contains(&length) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AccessError::WeakToken { path: path.clone(), length });
    }
    Ok(token.as_bytes().to_vec())
}

/// Judges who asks. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Access(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: ArcSwap<Known>,
    passwords: Passwords,
    guesses: Guesses,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Anybody,
    Known,
}

impl Access {
    /// From the next request on, these are known.
    pub fn set(&self, known: Known) {
        self.0.passwords.forget();
        self.0.known.store(Arc::new(known));
    }

    /// What TCP listeners speak.
    pub(super) fn tls(&self) -> Option<Tls> {
        self.0.known.load().tls.clone()
    }

    /// Whether this request may be answered.
    ///
    /// # Errors
    /// 401 and 429 for who is not known and should be, 403 for a change that this listener does not allow.
    pub(super) async fn judge(
        &self,
        arrival: Arrival,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let known = self.0.known.load_full();
        let who = self.identify(&known, arrival, headers).await?;
        let needs_user = !known.web.users.is_empty() && arrival.local.is_some() && !PROBES.contains(&path);
        if who == Who::Anybody && needs_user {
            return Err(unauthorized("a user and a password are needed"));
        }
        if method == Method::GET || method == Method::HEAD {
            return Ok(());
        }
        may_change(&known, who, arrival)
    }

    async fn identify(&self, known: &Arc<Known>, arrival: Arrival, headers: &HeaderMap) -> Result<Who, Problem> {
        let Some(header) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return Ok(Who::Anybody);
        };
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("bearer") && known.token.is_some() {
            let is_right = known.token.as_ref().is_some_and(|token| are_equal(token, rest.trim().as_bytes()));
            return if is_right { Ok(Who::Known) } else { Err(self.wrong(arrival, "the token is wrong")) };
        }
        if scheme.eq_ignore_ascii_case("basic") && !known.web.users.is_empty() {
            return self.check_password(known, arrival, rest.trim()).await;
        }
        Ok(Who::Anybody)
    }

    async fn check_password(&self, known: &Arc<Known>, arrival: Arrival, basic: &str) -> Result<Who, Problem> {
        // One that was right before costs no guess: a flood from its address does not lock it out.
        if self.0.passwords.is_remembered(basic) {
            return Ok(Who::Known);
        }
        if !self.0.guesses.may_guess(arrival.peer) {
            return Err(too_many());
        }
        match self.0.passwords.verify(Arc::clone(known), basic, limit::key(arrival.peer)).await {
            Verdict::Right => Ok(Who::Known),
            Verdict::Wrong => Err(self.wrong(arrival, "the user or the password is wrong")),
            Verdict::Busy => Err(too_many()),
        }
    }

    fn wrong(&self, arrival: Arrival, detail: &'static str) -> Problem {
        if self.0.guesses.count(arrival.peer) { unauthorized(detail) } else { too_many() }
    }
}

/// Answered to anybody: they say only whether netmon is well.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

fn may_change(known: &Known, who: Who, arrival: Arrival) -> Result<(), Problem> {
    let forbidden = |detail| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    match (known.control, who) {
        (Control::Off, _) => forbidden("nothing can be changed over HTTP: `api.control` is false"),
        (_, Who::Known) => Ok(()),
        (_, Who::Anybody) if arrival.is_private() => Ok(()),
        (_, Who::Anybody) if known.is_anybody() => {
            Err(unauthorized("a token, or a user, is needed to change something on this listener"))
        }
        (_, Who::Anybody) => forbidden(
            "nothing can be changed on a listener that others can reach, unless `api.auth.token_file` or users in \
             `api.web_config_file` are set",
        ),
    }
}

fn unauthorized(detail: &str) -> Problem {
    let challenge = HeaderValue::from_static("Basic realm=\"netmon\", charset=\"UTF-8\", Bearer realm=\"netmon\"");
    Problem::new(StatusCode::UNAUTHORIZED, detail).header(WWW_AUTHENTICATE, challenge)
}

fn too_many() -> Problem {
    let detail = "too many wrong passwords or tokens from this address";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).header(RETRY_AFTER, HeaderValue::from_static("10"))
}

/// In a time that depends on neither: compared are keyed hashes.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let hash = |text: &[u8]| Hmac::<Sha256>::new_from_slice(b"netmon token").map(|hash| hash.chain_update(text));
    match (hash(one), hash(other)) {
        (Ok(one), Ok(other)) => one.verify_slice(&other.finalize().into_bytes()).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use std::net::IpAddr;

    fn arrival(private: bool) -> Arrival {
        let local: IpAddr = if private { [127, 0, 0, 1].into() } else { [10, 0, 0, 1].into() };
        Arrival { local: Some(local), loopback_listener: private, peer: Some([192, 0, 2, 7].into()) }
    }

    fn known(control: Control, token: Option<&str>) -> Access {
        let access = Access::default();
        access.set(Known { control, token: token.map(|text| text.as_bytes().to_vec()), ..Known::default() });
        access
    }

    async fn status(access: &Access, private: bool, method: Method, token: &str) -> u16 {
        let mut headers = HeaderMap::new();
        if !token.is_empty() {
            headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        let judged = access.judge(arrival(private), &method, "/api/v1/reload", &headers).await;
        judged.map_or_else(|problem| problem.into_response().status().as_u16(), |()| 200)
    }

    #[tokio::test]
    async fn changes_are_for_this_machine_or_for_who_is_known() {
        let token = "0123456789abcdef";
        for (control, with_token, private, sent, expected) in [
            (Control::Auto, false, true, "", 200),
            (Control::Auto, false, false, "", 403),
            (Control::Auto, true, false, "", 401),
            (Control::Auto, true, false, token, 200),
            (Control::Auto, true, false, "0123456789abcdeX", 401),
            (Control::On, true, true, "", 200),
            (Control::Off, true, true, "", 403),
            (Control::Off, true, false, token, 403),
        ] {
            let access = known(control, with_token.then_some(token));
            let found = status(&access, private, Method::POST, sent).await;
            assert_eq!(found, expected, "{control:?} {with_token} {private} {sent}");
            assert_eq!(status(&access, private, Method::GET, "").await, 200, "reading needs nobody's leave");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_guesses_is_slowed_down() {
        let access = known(Control::Auto, Some("0123456789abcdef"));
        let mut refused = 0;
        for _ in 0..100 {
            refused += usize::from(status(&access, false, Method::POST, "wrong").await == 429);
        }
        assert!(refused >= 85, "{refused}");
        assert_eq!(status(&access, false, Method::POST, "0123456789abcdef").await, 200, "the right one still gets in");
    }
}
