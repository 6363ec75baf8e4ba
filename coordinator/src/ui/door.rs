//! Who may see the UI of an attempt: whoever holds a link to it, once; and afterwards the browser that used it.

use super::origin::UiOrigin;
use super::passes::{GOOD_FOR, Passes};
use crate::control::SECRET;
use hearth_types::{ApplicationId, JobRunId, Timestamp};

/// Where links lead, with their secret in the query. No engine's UI has paths that begin like this.
pub(super) const LOGIN: &str = "/.hearth/login";
/// Where the event log of an attempt that ended meanwhile is had.
pub(super) const EVENT_LOG: &str = "/.hearth/event-log";

/// An attempt of a job run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The application.
    pub application: ApplicationId,
    /// The job run.
    pub run: JobRunId,
    /// Counted from 1.
    pub attempt: u32,
}

impl Subject {
    /// What names it in its origin.
    fn label(&self) -> String {
        format!("{}-{}", self.run, self.attempt)
    }
}

/// Links and logins.
#[derive(Debug)]
pub struct Door {
    origin: UiOrigin,
    links: Passes<Subject>,
    logins: Passes<Subject>,
}

impl Door {
    /// Nobody is in.
    pub fn new(origin: UiOrigin) -> Self {
        Self { origin, links: Passes::default(), logins: Passes::default() }
    }

    /// Makes a link for somebody who may see the subject's UI.
    pub(crate) fn invite(&self, subject: Subject, now: Timestamp) -> String {
        let label = subject.label();
        let secret = self.links.make(subject, now);
        self.origin.url(&label, &format!("{LOGIN}?{SECRET}={secret}"))
    }

    /// The label of a configured name.
    pub(super) fn label(&self, host: &str) -> Option<String> {
        self.origin.label(host)
    }

    /// Uses a link up, under the name that it was made for alone.
    pub(super) fn use_up(&self, label: &str, secret: &str, now: Timestamp) -> Option<Subject> {
        self.links.look_up(secret, now).filter(|subject| subject.label() == label)?;
        self.links.use_up(secret, now)
    }

    /// Trades a link for a login; answers the value of `Set-Cookie`.
    pub(super) fn enter(&self, label: &str, secret: &str, now: Timestamp) -> Option<String> {
        let subject = self.use_up(label, secret, now)?;
        let login = self.logins.make(subject, now);
        let secure = if self.origin.is_tls() { "; Secure" } else { "" };
        // Lax, because people come from a link in a console or a message; nothing here changes anything.
        Some(format!(
            "{}={login}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            self.cookie(),
            GOOD_FOR.as_secs()
        ))
    }

    /// What the browser that sends these `Cookie` headers has logged in to, if it is what it asks for. A page of another
    /// attempt can add cookies of the same name, so that any of them may be the one.
    pub(super) fn recognise<'a>(
        &self,
        label: &str,
        cookies: impl Iterator<Item = &'a str>,
        now: Timestamp,
    ) -> Option<Subject> {
        cookies
            .flat_map(|header| header.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .filter(|(name, _)| *name == self.cookie())
            .filter_map(|(_, login)| self.logins.look_up(login, now))
            .find(|subject| subject.label() == label)
    }

    /// Within TLS no other host can set a cookie of this name.
    fn cookie(&self) -> &'static str {
        if self.origin.is_tls() { "__Host-hearth-ui" } else { "hearth-ui" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_000_000);

    fn subject(run: &str, attempt: u32) -> Subject {
        Subject { application: "00f0000000000001".parse().unwrap(), run: run.parse().unwrap(), attempt }
    }

    fn door(origin: &str) -> Door {
        Door::new(UiOrigin::parse(origin).unwrap())
    }

    /// Label, secret.
    fn invited(door: &Door, subject: Subject) -> (String, String) {
        let label = subject.label();
        let url = door.invite(subject, AT);
        (label, url.rsplit_once('=').unwrap().1.to_owned())
    }

    #[test]
    fn a_link_opens_its_own_name_once_and_its_login_that_name_alone() {
        let door = door("http://*.ui.localhost:8423");
        let (label, secret) = invited(&door, subject("00j1", 2));
        assert_eq!(label, "00j1-2");
        assert_eq!(door.enter("00j1-1", &secret, AT), None, "the link is for attempt 2");
        let set = door.enter(&label, &secret, AT).expect("a login");
        assert_eq!(door.enter(&label, &secret, AT), None, "it is used up");
        let (cookie, attributes) = set.split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");

        let known = |label: &str, header: &str, at| door.recognise(label, [header].into_iter(), at);
        assert_eq!(known(&label, cookie, AT), Some(subject("00j1", 2)));
        assert_eq!(known(&label, &format!("hearth-ui=planted; {cookie}"), AT), Some(subject("00j1", 2)));
        assert_eq!(known("00j1-1", cookie, AT), None);
        assert_eq!(known(&label, "hearth-ui=0123", AT), None);
        assert_eq!(known(&label, &cookie.replace("hearth-ui", "other"), AT), None);
        assert_eq!(known(&label, &format!("hearth-ui={secret}"), AT), None, "a link is no login");
        assert_eq!(known(&label, cookie, AT.plus(GOOD_FOR)), None);
    }

    #[test]
    fn within_tls_the_cookie_goes_nowhere_else() {
        let door = door("https://*.ui.example");
        let (label, secret) = invited(&door, subject("00j1", 1));
        let set = door.enter(&label, &secret, AT).expect("a login");
        assert!(set.starts_with("__Host-hearth-ui=") && set.ends_with("; Secure"), "{set}");
    }
}
