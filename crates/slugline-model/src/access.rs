//! Who may do what: roles in an app, scopes of a token, and how often it may call.

use std::time::Duration;

/// What a token is good for, as Heroku names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything that its account may do.
    Global,
    /// To say whose it is.
    Identity,
    /// To read apps, but for their secrets.
    Read,
    /// To read and to change apps, but for their secrets.
    Write,
    /// To read apps.
    ReadProtected,
    /// To read and to change apps.
    WriteProtected,
}

/// All scopes, with their names.
const SCOPES: [(Scope, &str); 6] = [
    (Scope::Global, "global"),
    (Scope::Identity, "identity"),
    (Scope::Read, "read"),
    (Scope::Write, "write"),
    (Scope::ReadProtected, "read-protected"),
    (Scope::WriteProtected, "write-protected"),
];

impl Scope {
    /// The scope of a name.
    pub fn named(name: &str) -> Option<Self> {
        SCOPES.iter().find(|(_, known)| *known == name).map(|(scope, _)| *scope)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        SCOPES.iter().find(|(scope, _)| *scope == self).map_or("", |(_, name)| name)
    }
}

/// What a call of the API touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Whose token it is.
    Identity,
    /// The account itself: tokens, keys, other people.
    Account,
    /// Apps and what belongs to them.
    Apps,
    /// What gives the values of config vars away.
    Secrets,
    /// The machine, and what belongs to all apps.
    Operator,
}

/// Whether a method of HTTP is for changes.
pub fn changes(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// The area of a call.
pub fn area(method: &str, path: &str) -> Area {
    let changes = changes(method);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["account" | "users", ..] if changes => Area::Account,
        ["account"] | ["account", "rate-limits"] | ["users", _] => Area::Identity,
        ["users", _, "apps"] => Area::Apps,
        ["account" | "users" | "oauth", ..] => Area::Account,
        ["accounts" | "audit" | "store" | "metrics", ..] | ["dynos", "usage"] => Area::Operator,
        // A command in a dyno sees all config vars, and so does whoever reads what it wrote.
        ["apps", _, "dynos", ..] if changes && !stops(method, &parts) => Area::Secrets,
        ["apps", _, rest @ ..] if rest.iter().any(|part| is_secret(part)) => Area::Secrets,
        [kind, ..] if is_secret(kind) => Area::Secrets,
        [_, _, rest @ ..] if rest.iter().any(|part| is_secret(part)) => Area::Secrets,
        _ => Area::Apps,
    }
}

/// Stops and restarts: they show nothing.
fn stops(method: &str, parts: &[&str]) -> bool {
    method == "DELETE" || matches!(parts, ["apps", _, "dynos", _, "actions", "stop"])
}

fn is_secret(part: &str) -> bool {
    ["config-vars", "config", "archive", "log-drains", "sso"].contains(&part)
}

/// Whether a token of these scopes may make a call.
pub fn allows(scopes: &[Scope], area: Area, changes: bool) -> bool {
    let has = |scope| scopes.contains(&scope);
    if has(Scope::Global) {
        return true;
    }
    match (area, changes) {
        (Area::Identity, false) => !scopes.is_empty(),
        (Area::Apps, false) => {
            has(Scope::Read)
                || has(Scope::Write)
                || has(Scope::ReadProtected)
                || has(Scope::WriteProtected)
        }
        (Area::Apps, true) => has(Scope::Write) || has(Scope::WriteProtected),
        (Area::Secrets, false) => has(Scope::ReadProtected) || has(Scope::WriteProtected),
        (Area::Secrets, true) => has(Scope::WriteProtected),
        (Area::Identity | Area::Account | Area::Operator, _) => false,
    }
}

/// What somebody is to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May do everything but give the app away, destroy it, and let others in.
    Collaborator,
    /// May do everything.
    Owner,
}

impl Role {
    /// As Heroku's API names it; owners have a word of their own there, and collaborators none.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Collaborator => "collaborator",
        }
    }
}

/// How many calls are left to a token: a store that fills up again by and by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    left: f64,
    seen: Duration,
}

impl Allowance {
    /// A full one. Times are since any one moment.
    pub fn full(per_hour: u32, now: Duration) -> Self {
        Self { left: f64::from(per_hour), seen: now }
    }

    /// How many calls are left now.
    #[must_use]
    pub fn left(&self, per_hour: u32, now: Duration) -> u32 {
        let filled = self.filled(per_hour, now);
        // Within the bounds of what it is made from.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
        let left = filled.left as u32;
        left
    }

    /// Takes a call; none is left where it is false.
    pub fn take(&mut self, per_hour: u32, now: Duration) -> bool {
        *self = self.filled(per_hour, now);
        let is_left = self.left >= 1.0;
        if is_left {
            self.left -= 1.0;
        }
        is_left
    }

    fn filled(self, per_hour: u32, now: Duration) -> Self {
        let past = now.saturating_sub(self.seen).as_secs_f64();
        let most = f64::from(per_hour);
        Self { left: (self.left + most * past / 3_600.0).min(most), seen: now.max(self.seen) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_it_touches() {
        for (call, expected) in [
            ("GET /account", Area::Identity),
            ("GET /users/~", Area::Identity),
            ("PATCH /account", Area::Account),
            ("GET /account/keys", Area::Account),
            ("GET /oauth/authorizations", Area::Account),
            ("GET /users/~/apps", Area::Apps),
            ("POST /apps", Area::Apps),
            ("GET /apps/owl/releases", Area::Apps),
            ("GET /apps/owl/releases/3/config-vars", Area::Secrets),
            ("PATCH /apps/owl/config-vars", Area::Secrets),
            ("GET /apps/owl/dynos", Area::Apps),
            ("POST /apps/owl/dynos", Area::Secrets),
            ("POST /apps/owl/dynos/web.1", Area::Secrets),
            ("DELETE /apps/owl/dynos", Area::Apps),
            ("DELETE /apps/owl/dynos/web.1", Area::Apps),
            ("POST /apps/owl/dynos/web.1/actions/stop", Area::Apps),
            ("GET /apps/owl/dynos/web.1/archive", Area::Secrets),
            ("GET /pipelines/1/stage/test/config-vars", Area::Secrets),
            ("GET /addons/1/config", Area::Secrets),
            ("POST /store/actions/gc", Area::Operator),
            ("GET /dynos/usage", Area::Operator),
        ] {
            let (method, path) = call.split_once(' ').unwrap();
            assert_eq!(area(method, path), expected, "{call}");
        }
    }

    #[test]
    fn a_scope_allows_no_more_than_it_says() {
        use Area::{Account, Apps, Identity, Operator, Secrets};
        let areas = [Identity, Account, Apps, Secrets, Operator];
        let allowed = |scope: Scope| -> String {
            let both = areas.iter().flat_map(|area| [(*area, false), (*area, true)]);
            both.map(|(area, changes)| if allows(&[scope], area, changes) { 'x' } else { '.' })
                .collect()
        };
        assert_eq!(allowed(Scope::Global), "xxxxxxxxxx");
        assert_eq!(allowed(Scope::Identity), "x.........");
        assert_eq!(allowed(Scope::Read), "x...x.....");
        assert_eq!(allowed(Scope::Write), "x...xx....");
        assert_eq!(allowed(Scope::ReadProtected), "x...x.x...");
        assert_eq!(allowed(Scope::WriteProtected), "x...xxxx..");
        assert!(!allows(&[], Identity, false));
        for (scope, name) in SCOPES {
            assert_eq!((Scope::named(name), scope.as_str()), (Some(scope), name));
        }
    }

    #[test]
    fn an_allowance_ends_and_fills_up_again() {
        let second = Duration::from_secs;
        let mut allowance = Allowance::full(3_600, second(0));
        assert!((0..3_600).all(|_| allowance.take(3_600, second(0))));
        assert!(!allowance.take(3_600, second(0)));
        assert_eq!(allowance.left(3_600, second(10)), 10);
        assert!(allowance.take(3_600, second(1)) && !allowance.take(3_600, second(1)));
        // A clock that jumps back gives nothing.
        assert!(!allowance.take(3_600, second(0)));
        assert_eq!(allowance.left(3_600, second(100_000)), 3_600);
    }
}
