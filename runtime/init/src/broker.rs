//! Asking the broker, again and again while it does not answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::ClientConfig;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::connection;
use crate::failure::Failure;
use crate::http::{Answer, exchange};
use crate::identity::Identity;
use crate::names;
use crate::settings::Settings;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Values by the secret's name, wiped when dropped.
pub type Secrets = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// The way to the brokers of the manifest, all of which own the pinned key.
pub struct Broker {
    configuration: Arc<ClientConfig>,
    addresses: Vec<String>,
    patience: Duration,
}

#[derive(Deserialize)]
struct Granted {
    secrets: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

impl Broker {
    pub fn new(settings: &Settings, identity: Identity) -> Result<Self, Failure> {
        Ok(Self {
            configuration: connection::configuration(identity, settings.broker_key.0)?,
            addresses: settings.broker.clone(),
            patience: Duration::from_secs(settings.timeout_s.into()),
        })
    }

    /// All required secrets, and those of the optional ones that the broker grants.
    pub fn secrets(&self, settings: &Settings) -> Result<Secrets, Failure> {
        let request = serde_json::json!({"required": settings.required, "optional": settings.optional});
        let answer = self.ask("POST", "/v1/secrets", request.to_string().as_bytes())?;
        let mut granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| Failure::NotTheBroker("it answers with something else than secrets".into()))?;
        let mut secrets = Secrets::new();
        for (name, text) in &mut granted.secrets {
            let value = STANDARD.decode(&text).map(Zeroizing::new);
            text.zeroize();
            let value =
                value.map_err(|_| Failure::NotTheBroker(format!("the secret '{name}' is not Base64")))?;
            secrets.insert(name.clone(), value);
        }
        match settings.required.iter().find(|name| !secrets.contains_key(*name)) {
            Some(missing) => Err(Failure::NotTheBroker(format!("it left out the secret '{missing}'"))),
            None => Ok(secrets),
        }
    }

    /// Hands over a result.
    pub fn keep(&self, name: &str, data: &[u8]) -> Result<(), Failure> {
        self.ask("PUT", &format!("/v1/results/{}", quoted(name)), data).map(|_| ())
    }

    /// One request, repeated with growing pauses until someone answers or the time is over.
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, Failure> {
        let end = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match self.ask_each(method, path, body) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let left = end.saturating_duration_since(Instant::now());
            if !failure.may_pass() || left.is_zero() {
                return Err(failure);
            }
            eprintln!("casemate-init: {failure}; asking again");
            std::thread::sleep(jittered(pause).min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Every broker in turn; a refusal by one is final.
    fn ask_each(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, Failure> {
        let mut last = Failure::Settings("no broker is named".into());
        for address in &self.addresses {
            match self.ask_one(address, method, path, body) {
                Err(failure) if failure.may_pass() => last = failure,
                settled => return settled,
            }
        }
        Err(last)
    }

    fn ask_one(&self, address: &str, method: &str, path: &str, body: &[u8]) -> Result<Answer, Failure> {
        let (host, port) = names::split(address)
            .ok_or_else(|| Failure::Settings(format!("'{address}' is not HOST:PORT")))?;
        let found = names::resolve(host, port)
            .map_err(|error| Failure::Unreachable(format!("{address}: {error}")))?;
        let mut last = Failure::Unreachable(format!("{address}: it has no address"));
        for at in found {
            let answer = connection::open(&self.configuration, at).and_then(|mut stream| {
                exchange(&mut stream, method, path, address, body)
                    .map_err(|error| connection::explain(at, error))
            });
            match answer.and_then(judged) {
                Err(failure) if failure.may_pass() => last = failure,
                settled => return settled,
            }
        }
        Err(last)
    }
}

/// What an answer's status means.
fn judged(answer: Answer) -> Result<Answer, Failure> {
    let sentence = || {
        serde_json::from_slice::<Refusal>(&answer.body)
            .map_or_else(|_| format!("it answers with status {}", answer.status), |refusal| refusal.error)
    };
    match answer.status {
        200..=299 => Ok(answer),
        500..=599 => Err(Failure::Unreachable(sentence())),
        _ => Err(Failure::Refused(sentence())),
    }
}

/// Between half and all of a pause, so that enclaves that were started together do not ask together.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0xff];
    // Without randomness everyone waits the whole pause, which is no harm.
    let _ = SystemRandom::new().fill(&mut byte);
    pause / 2 + pause / 2 * u32::from(byte[0]) / 255
}

/// A path's segment (RFC 3986, 2.1).
fn quoted(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_for_the_path() {
        assert_eq!(quoted("report 1%.txt"), "report%201%25.txt");
        assert_eq!(quoted("é"), "%C3%A9");
    }

    #[test]
    fn pauses_stay_within_their_length() {
        for _ in 0..100 {
            let pause = jittered(FIRST_PAUSE);
            assert!((FIRST_PAUSE / 2..=FIRST_PAUSE).contains(&pause));
        }
    }

    #[test]
    fn a_refusal_says_what_the_broker_said() {
        let answer = |status, body: &str| {
            judged(Answer { status, body: Zeroizing::new(body.as_bytes().to_vec()) }).map(|_| ()).unwrap_err()
        };
        let refused = answer(403, r#"{"error":"mrenclave: expected a, found b","failures":[]}"#);
        assert_eq!(refused.to_string(), "the broker refuses this enclave: mrenclave: expected a, found b");
        assert!(!refused.may_pass());
        assert!(answer(503, "<html>").may_pass());
    }
}
