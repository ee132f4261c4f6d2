//! `--offer-timeout`.

use std::{str::FromStr, time::Duration};

use muster_api::{Span, limits};

/// How long a framework may keep an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OfferTimeout(pub(crate) Option<Duration>);

impl Default for OfferTimeout {
    fn default() -> Self {
        Self(Some(limits::OFFER_TIMEOUT))
    }
}

/// A text that is no time for an offer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no time for an offer; write it as in 90s or 5m, at least 1s, or off")]
pub(crate) struct InvalidOfferTimeout {
    text: String,
}

impl FromStr for OfferTimeout {
    type Err = InvalidOfferTimeout;
    fn from_str(text: &str) -> Result<Self, InvalidOfferTimeout> {
        if text == "off" {
            return Ok(Self(None));
        }
        let span = text.parse::<Span>().ok().map(Span::duration);
        let span = span.filter(|span| *span >= Duration::from_secs(1));
        span.map(|span| Self(Some(span)))
            .ok_or_else(|| InvalidOfferTimeout { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_time_or_off() {
        let read = |text: &str| text.parse::<OfferTimeout>().map(|timeout| timeout.0);
        assert_eq!(read("off"), Ok(None));
        assert_eq!(read("90s"), Ok(Some(Duration::from_secs(90))));
        assert_eq!(OfferTimeout::default().0, Some(limits::OFFER_TIMEOUT));
        for text in ["", "0s", "999ms", "5", "never", "-5m"] {
            let wrong = read(text).unwrap_err();
            assert!(wrong.to_string().contains("5m"), "{text}: {wrong}");
        }
    }
}
