//! Many commands and what each is to say; all that is wrong is told at the end.

use std::cell::RefCell;

use crate::support::cli::Cli;

pub(crate) struct Checks<'a> {
    pub(crate) cli: Cli<'a>,
    wrong: RefCell<Vec<String>>,
}

impl<'a> Checks<'a> {
    pub(crate) fn new(cli: Cli<'a>) -> Self {
        Self { cli, wrong: RefCell::default() }
    }

    /// A command that succeeds and says all of these, wherever it says them. Gives what it said.
    pub(crate) fn holds(&self, command: &str, texts: &[&str]) -> String {
        self.check(command, true, texts)
    }

    /// A command that fails and says all of these.
    pub(crate) fn refused(&self, command: &str, texts: &[&str]) -> String {
        self.check(command, false, texts)
    }

    /// No argument of these tests holds a space.
    fn check(&self, command: &str, succeeds: bool, texts: &[&str]) -> String {
        let args: Vec<&str> = command.split_whitespace().collect();
        let ran = self.cli.run(&args);
        let said = ran.out + &ran.err;
        // The command line breaks lines where a terminal would.
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let missing: Vec<&&str> = texts.iter().filter(|text| !words.contains(**text)).collect();
        if (ran.code == Some(0)) != succeeds || !missing.is_empty() {
            let code = ran.code;
            let wrong = format!("heroku {command}: status {code:?}, no {missing:?} in:\n{said}");
            self.wrong.borrow_mut().push(wrong);
        }
        said
    }

    /// Fails with all that was wrong.
    pub(crate) fn done(&self) {
        let wrong = self.wrong.borrow();
        assert!(wrong.is_empty(), "{} commands:\n{}", wrong.len(), wrong.join("\n"));
    }
}
