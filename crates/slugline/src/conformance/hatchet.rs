//! The published tests of heroku-buildpack-python: `spec/hatchet/*_spec.rb`, which deploy fixtures
//! with Hatchet and compare the output. What they do by building is carried out; what they run in
//! dynos, on Heroku CI or by other Ruby is left out, and said to be.

use std::io;
use std::path::{Path, PathBuf};

use regex_lite::RegexBuilder;

use super::case::{Asked, Case, Check, Step};
use super::ruby::{self, Constants, between};

/// Whether a checkout has such tests.
pub(super) fn is_there(root: &Path) -> bool {
    root.join("spec/hatchet").is_dir() && root.join("spec/spec_helper.rb").is_file()
}

/// Reads all tests of a checkout. `tested` is how builds ask for the buildpack, `stack` what is
/// announced to it.
pub(super) fn read(root: &Path, tested: &str, stack: &str) -> io::Result<Vec<Case>> {
    let shared = fs_err::read_to_string(root.join("spec/spec_helper.rb"))?;
    let mut constants = ruby::constants(root, &shared);
    constants.insert("DEFAULT_BUILDPACK_URL".to_owned(), tested.to_owned());
    let entries = fs_err::read_dir(root.join("spec/hatchet"))?;
    let mut files: Vec<PathBuf> = entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut cases = vec![];
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "rb")) {
        let text = fs_err::read_to_string(file)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut reader =
            Reader { root, stack, constants: constants.clone(), lines: text.lines().collect() };
        cases.extend(reader.cases(&name));
    }
    Ok(cases)
}

struct Reader<'a> {
    root: &'a Path,
    constants: Constants,
    stack: &'a str,
    lines: Vec<&'a str>,
}

/// What `let(:app)`, `let(:buildpacks)` and `let(:config)` say, by the indentation of the group.
type Lets<'a> = Vec<(usize, &'a str, &'a str)>;

impl<'a> Reader<'a> {
    fn cases(&mut self, file: &str) -> Vec<Case> {
        let mut lets: Lets<'a> = vec![];
        let mut context = String::new();
        let mut elsewhere = None;
        let mut cases = vec![];
        let mut at = 0;
        while let Some(&line) = self.lines.get(at) {
            at += 1;
            let (depth, text) = (line.len() - line.trim_start().len(), line.trim());
            if text == "end" {
                lets.retain(|(indentation, ..)| *indentation <= depth);
            } else if let Some(title) = titled(text, "context") {
                title.clone_into(&mut context);
                elsewhere = self.not_for_here(text);
            } else if let Some((name, value)) = let_of(text) {
                lets.push((depth, name, value));
            } else if let Some(title) = titled(text, "it") {
                let end = self.end_of_block(at, depth);
                let name = format!("{file}: {context}: {title}");
                let reason = elsewhere.clone().or_else(|| self.not_for_here(text));
                cases.push(match reason {
                    Some(reason) => Case { name, steps: vec![], left_out: vec![reason] },
                    None => self.case(name, &lets, at..end),
                });
                at = end;
            } else if text.starts_with("it_behaves_like") || text.starts_with("include_examples") {
                let name = format!("{file}: {context}: {text}");
                let left_out = vec!["shared examples".to_owned()];
                cases.push(Case { name, steps: vec![], left_out });
            } else if let Some((name, value)) = text.split_once(" = ")
                && let Some(value) = ruby::string(value, &self.constants)
            {
                self.constants.insert(name.to_owned(), value);
            }
        }
        cases
    }

    /// Why the authors do not run a test, or a group of them, or not on this stack.
    fn not_for_here(&self, text: &str) -> Option<String> {
        if text.contains("', skip: ") {
            return Some("skipped by its authors".to_owned());
        }
        let (_, stacks) = text.split_once("', stacks: %w[")?;
        let stacks = stacks.split(']').next().unwrap_or_default();
        let here = stacks.split(' ').any(|stack| stack == self.stack);
        (!here).then(|| format!("for {stacks} only"))
    }

    fn end_of_block(&self, from: usize, depth: usize) -> usize {
        let end = format!("{}end", " ".repeat(depth));
        let found = self.lines[from..].iter().position(|line| *line == end);
        found.map_or(self.lines.len(), |offset| from + offset)
    }

    fn case(&self, name: String, lets: &Lets<'a>, body: std::ops::Range<usize>) -> Case {
        let mut case = Case { name, ..Case::default() };
        if let Err(reason) =
            self.app(lets, &mut case).and_then(|may_fail| self.body(body, may_fail, &mut case))
        {
            case.left_out.push(reason);
        }
        case
    }

    /// What the app is made of; gives whether its builds may fail.
    fn app(&self, lets: &Lets<'a>, case: &mut Case) -> Result<bool, String> {
        let value = |name: &str| lets.iter().rev().find(|(_, n, _)| *n == name).map(|(.., v)| *v);
        let app = value("app").ok_or("no app of a fixture")?;
        let inner = between(app, "Hatchet::Runner.new(", ")").ok_or("another kind of app")?;
        let mut words = inner.split(", ");
        let fixture = words.next().and_then(|word| between(word, "'", "'")).ok_or("no fixture")?;
        case.steps.push(Step::Source(self.root.join(fixture)));
        let mut buildpacks = vec![Asked::Tested];
        let mut may_fail = false;
        for word in words {
            match word {
                "allow_failure: true" => may_fail = true,
                "buildpacks:" => buildpacks = asked(value("buildpacks").unwrap_or_default())?,
                "config:" => {
                    let vars = config(value("config").unwrap_or_default(), &self.constants);
                    case.steps.push(Step::ConfigVars(vars.ok_or("config vars in other Ruby")?));
                }
                other => return Err(format!("`{other}`")),
            }
        }
        case.steps.push(Step::Buildpacks(buildpacks));
        Ok(may_fail)
    }

    /// The statements, until one that is not understood.
    fn body(
        &self,
        body: std::ops::Range<usize>,
        may_fail: bool,
        case: &mut Case,
    ) -> Result<(), String> {
        let mut at = body.start;
        while at < body.end {
            let text = self.lines[at].trim();
            at += 1;
            let here = heredoc_end(text);
            let block = here.map_or(0, |end| {
                self.lines[at..body.end].iter().position(|line| line.trim() == end).unwrap_or(0)
            });
            let document = &self.lines[at..at + block];
            at += if here.is_some() { block + 1 } else { 0 };
            match text {
                "app.deploy do |app|" | "app.push!" => {
                    case.steps.push(Step::Build);
                    if !may_fail {
                        case.steps.push(Step::Check(Check::Succeeds));
                    }
                }
                "" | "end" | "app.commit!" | "output = clean_output(app.output)" => {}
                comment if comment.starts_with('#') => {}
                expect if expect.starts_with("expect(") => match self.check(expect, document) {
                    Some(check) => case.steps.push(Step::Check(check)),
                    None => case.left_out.push(what_is_expected(expect)),
                },
                other => case
                    .steps
                    .push(self.change(other).ok_or_else(|| format!("`{other}` and what follows"))?),
            }
        }
        Ok(())
    }

    fn change(&self, text: &str) -> Option<Step> {
        let literal = |word: &str| ruby::string(word, &self.constants);
        if let Some(inner) = between(text, "File.write(", ")") {
            let (inner, append) = match inner.strip_suffix(", mode: 'a'") {
                Some(inner) => (inner, true),
                None => (inner, false),
            };
            let (path, text) = inner.split_once(", ")?;
            return Some(Step::Write { path: literal(path)?, text: literal(text)?, append });
        }
        if let Some(path) = between(text, "FileUtils.rm(", ")") {
            return literal(path).map(Step::Remove);
        }
        if let Some(path) = between(text, "FileUtils.cp(FIXTURE_DIR.join(", "), '.')") {
            let from = self.root.join("spec/fixtures").join(literal(path)?);
            let to = from.file_name()?.to_string_lossy().into_owned();
            return Some(Step::Copy { from, to });
        }
        let list = between(text, "update_buildpacks(app, ", ")")?;
        asked(list).ok().map(Step::Buildpacks)
    }

    fn check(&self, statement: &str, document: &[&str]) -> Option<Check> {
        let outputs = ["expect(clean_output(app.output))", "expect(app.output)", "expect(output)"];
        let rest = outputs.iter().find_map(|output| statement.strip_prefix(output))?;
        let document = || {
            let text = ruby::heredoc(document, &self.constants)?;
            // Git adds eight blanks at the end of each line, which `clean_output` removes again.
            let raw = statement.starts_with("expect(app.output)");
            Some(if raw { text.replace("        \n", "\n") } else { text })
        };
        match rest {
            ".to include(<<~OUTPUT)" | ".to include(<<~'OUTPUT')" => document().map(Check::Says),
            ".to match(Regexp.new(<<~REGEX))" => matches(&document()?, false),
            ".to match(Regexp.new(<<~REGEX, Regexp::MULTILINE))" => matches(&document()?, true),
            _ => {
                let says = rest.strip_prefix(".to include(").and_then(|r| r.strip_suffix(')'));
                let not = rest.strip_prefix(".not_to include(").and_then(|r| r.strip_suffix(')'));
                let literal = |text: &str| ruby::string(text, &self.constants);
                says.and_then(literal)
                    .map(Check::Says)
                    .or_else(|| not.and_then(literal).map(Check::SaysNot))
            }
        }
    }
}

/// In Ruby `^` and `$` are about lines; with its MULTILINE a dot is also the end of one.
fn matches(pattern: &str, dot_all: bool) -> Option<Check> {
    let built = RegexBuilder::new(pattern)
        .multi_line(true)
        .dot_matches_new_line(dot_all)
        .size_limit(64 << 20)
        .build();
    built.ok().map(|pattern| Check::Matches(Box::new(pattern)))
}

/// `context 'title' do`
fn titled<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(word)?.strip_prefix(' ')?.strip_suffix(" do")?;
    let rest = rest.split_once("', ").map_or(rest, |(title, _)| title);
    Some(rest.trim_matches(['\'', '"']))
}

/// `let(:name) { value }`
fn let_of(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.strip_prefix("let(:")?.split_once(") { ")?;
    Some((name, value.strip_suffix(" }")?))
}

fn asked(list: &str) -> Result<Vec<Asked>, String> {
    let other = || format!("buildpacks `{list}`");
    if let Some(symbols) = between(list, "%i[", "]") {
        let all = symbols.split(' ').map(|name| (name == "default").then_some(Asked::Tested));
        return all.collect::<Option<_>>().ok_or_else(other);
    }
    let items = between(list, "[", "]").ok_or_else(other)?.split(", ");
    let one = |item: &str| match item {
        ":default" => Some(Asked::Tested),
        text => between(text, "'", "'").map(|name| Asked::Other(name.to_owned())),
    };
    items.map(one).collect::<Option<_>>().ok_or_else(other)
}

/// `{ NAME: 'value', OTHER: '1' }`
fn config(text: &str, constants: &Constants) -> Option<Vec<(String, String)>> {
    let inner = between(text.trim(), "{ ", " }")?;
    let pair = |pair: &str| {
        let (name, value) = pair.split_once(": ")?;
        Some((name.to_owned(), ruby::string(value, constants)?))
    };
    inner.split(", ").map(pair).collect()
}

/// What ends the heredoc that starts on a line.
fn heredoc_end(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<<~")?;
    let rest = rest.trim_start_matches('\'');
    let end = rest.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(rest.len());
    Some(&rest[..end])
}

fn what_is_expected(text: &str) -> String {
    let subject = text.split(").to").next().unwrap_or(text);
    let about_a_dyno = subject.contains("app.run") || subject.contains("CHILD_STATUS");
    if about_a_dyno { "what a dyno prints".to_owned() } else { format!("`{subject})`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r"
RSpec.describe 'pip' do
  context 'when cached' do
    let(:buildpacks) { [:default, 'heroku-community/inline'] }
    let(:config) { { A: '1' } }
    let(:app) { Hatchet::Runner.new('spec/fixtures/pip_basic', config:, buildpacks:) }

    it 'installs' do
      app.deploy do |app|
        expect(clean_output(app.output)).to match(Regexp.new(<<~REGEX))
          remote: \\['a.+'\\]
        REGEX
        File.write('.python-version', '3.13')
        app.commit!
        app.push!
        expect(app.output).not_to include('NLTK')
        expect(app.run('x')).to eq(<<~OUTPUT)
          y
        OUTPUT
      end
    end
  end

  context 'when broken' do
    let(:app) { Hatchet::Runner.new('spec/fixtures/broken', allow_failure: true) }

    it 'fails' do
      app.deploy do |app|
        expect(clean_output(app.output)).to include(<<~OUTPUT)
          remote:  !     Error: #{NAME}
        OUTPUT
        app.run_ci do |test_run|
        end
      end
    end
  end
end
";

    fn cases() -> Vec<Case> {
        let constants = [("NAME".to_owned(), "broken".to_owned())].into();
        let mut reader = Reader {
            root: Path::new("/bp"),
            stack: "heroku-22",
            constants,
            lines: SPEC.lines().collect(),
        };
        reader.cases("pip_spec")
    }

    #[test]
    fn what_a_test_does_by_building_is_understood() {
        let case = &cases()[0];
        assert_eq!(case.name, "pip_spec: when cached: installs");
        let steps: Vec<_> = case.steps.iter().map(|step| format!("{step:?}")).collect();
        assert_eq!(steps[0], "Source(\"/bp/spec/fixtures/pip_basic\")");
        assert_eq!(steps[1], "ConfigVars([(\"A\", \"1\")])");
        assert_eq!(steps[2], "Buildpacks([Tested, Other(\"heroku-community/inline\")])");
        assert_eq!(steps[3..5], ["Build", "Check(Succeeds)"]);
        assert!(
            matches!(&case.steps[5], Step::Check(Check::Matches(p)) if p.is_match("remote: ['ab']\n"))
        );
        assert_eq!(steps[7..10], ["Build", "Check(Succeeds)", "Check(SaysNot(\"NLTK\"))"]);
        assert_eq!(case.left_out, ["what a dyno prints"]);
    }

    #[test]
    fn a_test_that_its_authors_do_not_run_here_is_not_judged() {
        let text = "context 'old', stacks: %w[heroku-18 heroku-20] do\n  it 'works' do\n  end\nend\n\
                    context 'both', stacks: %w[heroku-20 heroku-22] do\n  it 'fails', skip: 'x' do\n\
                    end\nend\n";
        let constants = Constants::new();
        let root = Path::new("/bp");
        let mut reader =
            Reader { root, stack: "heroku-22", constants, lines: text.lines().collect() };
        let cases = reader.cases("a");
        assert!(cases.iter().all(|case| !case.is_judged()));
        assert_eq!(cases[0].left_out, ["for heroku-18 heroku-20 only"]);
        assert_eq!(cases[1].left_out, ["skipped by its authors"]);
    }

    #[test]
    fn what_is_not_understood_ends_a_test_and_is_told() {
        let case = &cases()[1];
        assert!(case.is_judged());
        assert!(
            matches!(&case.steps[3], Step::Check(Check::Says(text)) if text == "remote:  !     Error: broken\n")
        );
        assert_eq!(case.steps.len(), 4);
        assert_eq!(case.left_out, ["`app.run_ci do |test_run|` and what follows"]);
    }
}
