//! What of Heroku's API is not there, and why: so that nothing is forgotten.

/// Why a link is not there; none for one that is.
pub(crate) fn reason(method: &str, path: &str, resource: &str) -> Option<&'static str> {
    let of_link = LINKS.iter().find(|(m, p, _)| *m == method && *p == path);
    let of_resource = RESOURCES.iter().find(|(names, _)| names.contains(&resource));
    of_link.map(|(_, _, reason)| *reason).or_else(|| of_resource.map(|(_, reason)| *reason))
}

/// Properties that an answer may lack, by resource; `*` for any.
pub(crate) fn is_fine_without(resource: &str, property: &str) -> bool {
    WITHOUT.iter().any(|(of, name)| (*of == resource || *of == "*") && *name == property)
}

const WITHOUT: [(&str, &str); 0] = [];

/// Resources of which nothing is there.
const RESOURCES: [(&[&str], &str); 10] = [
    (
        &[
            "account-delinquency",
            "credit",
            "invoice",
            "invoice-address",
            "team-delinquency",
            "team-invoice",
        ],
        "nothing costs anything",
    ),
    (
        &[
            "archive",
            "audit-trail-event",
            "enterprise-account",
            "enterprise-account-daily-usage",
            "enterprise-account-member",
            "enterprise-account-monthly-usage",
            "team-daily-usage",
            "team-monthly-usage",
        ],
        "there are no enterprises",
    ),
    (
        &[
            "inbound-ruleset",
            "peering",
            "peering-info",
            "space",
            "space-app-access",
            "space-nat",
            "space-topology",
            "space-transfer",
            "team-space",
            "vpn-connection",
        ],
        "there are no private spaces; every dyno has a network of its own",
    ),
    (
        &[
            "allowed-add-on-service",
            "identity-provider",
            "permission-entity",
            "team",
            "team-add-on",
            "team-app",
            "team-app-collaborator",
            "team-app-permission",
            "team-feature",
            "team-invitation",
            "team-member",
            "team-preferences",
        ],
        "there are no teams; apps have collaborators",
    ),
    (
        &["add-on-webhook", "add-on-webhook-delivery", "add-on-webhook-event"],
        "providers of add-ons call no API",
    ),
    (&["oci-image"], "apps run from slugs"),
    (&["telemetry-drain"], "traces are not collected"),
    (&["sms-number"], "the server sends no text messages"),
    (
        &[
            "account",
            "app-transfer",
            "collaborator",
            "key",
            "oauth-authorization",
            "oauth-client",
            "oauth-token",
            "rate-limit",
        ],
        "accounts are told of by tests of their own",
    ),
    (&["password-reset"], "the server sends no mail; its operator makes tokens"),
];

/// Single links.
const LINKS: [(&str, &str, &str); 6] = [
    ("POST", "/addons/{}/actions/deprovision", "whoever owns an add-on destroys it"),
    ("PUT", "/addons/{}/log-drains/{}", "providers of add-ons call no API"),
    ("GET", "/addons/{}/log-drains", "providers of add-ons call no API"),
    ("GET", "/teams/{}/addons", NO_TEAMS),
    ("GET", "/teams/{}/available-generations", NO_TEAMS),
    ("GET", "/teams/{}/pipeline-couplings", NO_TEAMS),
];

const NO_TEAMS: &str = "there are no teams; apps have collaborators";
