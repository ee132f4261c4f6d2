//! What a scheduler tells by itself, as flags say it.

use std::{collections::BTreeSet, str::FromStr};

use muster_api::{
    limits,
    spec::{InvalidNoticeKind, NoticeKind, webhook},
};
use muster_scheduler::{Installation, Notifying};

/// The URI of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook(String);

impl FromStr for Webhook {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        webhook::check(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// Kinds of notices, as in `failed,host_lost`, or `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoticeKinds(BTreeSet<NoticeKind>);

impl FromStr for NoticeKinds {
    type Err = InvalidNoticeKind;
    fn from_str(text: &str) -> Result<Self, InvalidNoticeKind> {
        if text == "none" {
            return Ok(Self(BTreeSet::new()));
        }
        text.split(',').map(|word| word.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

/// The name of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstallationName(String);

/// A text that is no name for an installation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name is one line of at most {most} bytes", most = limits::NAME_BYTES)]
pub(crate) struct InvalidInstallationName;

impl FromStr for InstallationName {
    type Err = InvalidInstallationName;
    fn from_str(text: &str) -> Result<Self, InvalidInstallationName> {
        let fits = text.len() <= limits::NAME_BYTES && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidInstallationName) }
    }
}

/// What these flags mean. Kinds without a webhook go nowhere, and that is a mistake.
pub(super) fn notifying(
    webhook: Option<Webhook>,
    on: Option<NoticeKinds>,
    name: Option<InstallationName>,
) -> anyhow::Result<Notifying> {
    let name = name.map(|name| name.0).unwrap_or_default();
    let Some(Webhook(webhook)) = webhook else {
        anyhow::ensure!(
            on.is_none_or(|on| on.0.is_empty()),
            "--notify-on says what is told and not where; give --notify-webhook too"
        );
        return Ok(Notifying { name, ..Notifying::default() });
    };
    let all = || NoticeKind::ALL.iter().map(|(_, kind)| *kind).collect();
    let on = on.map_or_else(all, |on| on.0);
    Ok(Notifying { installation: Installation { on, webhook }, name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_and_need_a_place_to_go() {
        let kinds: NoticeKinds = "failed, host_lost".parse().unwrap();
        assert_eq!(kinds.0, BTreeSet::from([NoticeKind::Failed, NoticeKind::HostLost]));
        assert_eq!("none".parse::<NoticeKinds>().unwrap().0, BTreeSet::new());
        for bad in ["", "failed,", "fail", "none,failed"] {
            assert!(bad.parse::<NoticeKinds>().is_err(), "{bad}");
        }
        let webhook: Webhook = "http://h/x".parse().unwrap();
        assert!(notifying(None, Some(kinds.clone()), None).is_err());
        let nothing = notifying(None, None, Some("home".parse().unwrap())).unwrap();
        assert_eq!((nothing.name.as_str(), nothing.installation.on.len()), ("home", 0));
        let some = notifying(Some(webhook.clone()), Some(kinds), None).unwrap();
        assert_eq!(some.installation.on.len(), 2);
        let all = notifying(Some(webhook), None, None).unwrap();
        assert_eq!(all.installation.on.len(), NoticeKind::ALL.len());
        assert!("ftp://h".parse::<Webhook>().is_err());
        assert!("a\nb".parse::<InstallationName>().is_err());
    }
}
