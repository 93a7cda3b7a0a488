//! A push: which of its refs are built, which are only kept, which are refused.

/// The branches whose pushes are built, the first one before the others.
pub const DEPLOYED: [&str; 2] = ["refs/heads/main", "refs/heads/master"];

/// One ref that a push wants to change, as git tells a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// What it was: zeros where it is new.
    pub old: String,
    /// What it becomes: zeros where it is deleted.
    pub new: String,
    /// `refs/heads/main`.
    pub name: String,
}

/// What becomes of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged<'a> {
    /// The update that is built.
    pub deploy: Option<&'a RefUpdate>,
    /// What the one who pushes is told of the others.
    pub told: Vec<String>,
}

/// The updates of a hook's input; none where it is not as git writes it.
pub fn parse(input: &str) -> Option<Vec<RefUpdate>> {
    let update = |line: &str| {
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        let (old, new, name) = (words.next()?, words.next()?, words.next()?);
        let is_id = |id: &str| id.len() >= 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_id(&old) && is_id(&new)).then_some(RefUpdate { old, new, name })
    };
    input.lines().map(update).collect()
}

/// Judges a push as a whole; says why where all of it is refused.
pub fn judge(updates: &[RefUpdate]) -> Result<Judged<'_>, String> {
    for update in updates {
        let known = ["refs/heads/", "refs/tags/"];
        if !known.iter().any(|prefix| update.name.starts_with(prefix)) {
            return Err(format!("{} is neither a branch nor a tag.", update.name));
        }
        if update.is_deletion() && DEPLOYED.contains(&update.name.as_str()) {
            let name = update.short_name();
            return Err(format!(
                "{name} cannot be deleted: it is what the app was built from. To go back, `heroku \
                 rollback`; to stop it, `heroku ps:scale web=0`."
            ));
        }
    }
    let named = |name: &&str| updates.iter().find(|update| update.name == **name);
    let deploy = DEPLOYED.iter().find_map(named);
    let others = updates.iter().filter(|update| Some(*update) != deploy && !update.is_deletion());
    let told = others.filter_map(|update| told(update, deploy)).collect();
    Ok(Judged { deploy, told })
}

fn told(update: &RefUpdate, deploy: Option<&RefUpdate>) -> Option<String> {
    let branch = update.name.strip_prefix("refs/heads/")?;
    Some(match deploy {
        Some(deploy) => format!("{branch} is kept, and not built: {} is.", deploy.short_name()),
        // As Heroku says it; the rest is ours.
        None => format!(
            "Pushed to non-main branch, skipping build. To build it: git push heroku {branch}:main"
        ),
    })
}

impl RefUpdate {
    /// Whether the ref is to go.
    pub fn is_deletion(&self) -> bool {
        is_nothing(&self.new)
    }

    /// `main`.
    pub fn short_name(&self) -> &str {
        let name = self.name.as_str();
        name.strip_prefix("refs/heads/").or(name.strip_prefix("refs/tags/")).unwrap_or(name)
    }
}

/// Whether an id stands for no commit.
pub fn is_nothing(id: &str) -> bool {
    id.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> String {
        digit.to_string().repeat(40)
    }

    fn pushed(lines: &[(char, &str)]) -> Vec<RefUpdate> {
        let line = |(new, name): &(char, &str)| format!("{} {} {name}\n", id('1'), id(*new));
        parse(&lines.iter().map(line).collect::<String>()).unwrap()
    }

    #[test]
    fn what_git_writes_is_understood_and_nothing_else() {
        let updates = pushed(&[('2', "refs/heads/a b")]);
        assert_eq!((updates[0].new.clone(), updates[0].name.as_str()), (id('2'), "refs/heads/a b"));
        assert_eq!(parse(""), Some(vec![]));
        for wrong in ["x", "1 2 refs/heads/main", &format!("{} {}", id('1'), id('2'))] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn main_is_built_or_else_master_and_the_others_are_kept() {
        let updates = pushed(&[
            ('4', "refs/tags/v1"),
            ('3', "refs/heads/topic"),
            ('2', "refs/heads/master"),
            ('2', "refs/heads/main"),
        ]);
        let judged = judge(&updates).unwrap();
        assert_eq!(judged.deploy.unwrap().short_name(), "main");
        assert_eq!(judged.told.len(), 2, "{:?}", judged.told);
        let updates = pushed(&[('2', "refs/heads/master")]);
        assert_eq!(judge(&updates).unwrap().deploy, Some(&updates[0]));
        let updates = pushed(&[('2', "refs/heads/topic")]);
        let judged = judge(&updates).unwrap();
        assert!(judged.deploy.is_none() && judged.told[0].contains("skipping build"));
    }

    #[test]
    fn what_is_built_from_cannot_be_deleted_and_other_branches_can() {
        let refused = judge(&pushed(&[('0', "refs/heads/main")])).unwrap_err();
        assert!(refused.contains("main cannot be deleted"), "{refused}");
        let updates = pushed(&[('0', "refs/heads/topic")]);
        assert_eq!(judge(&updates).unwrap(), Judged { deploy: None, told: vec![] });
        let refused = judge(&pushed(&[('2', "refs/pull/1/head")])).unwrap_err();
        assert!(refused.contains("neither a branch nor a tag"), "{refused}");
    }
}
