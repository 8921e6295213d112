//! Writes the manual pages and the shell completions from what `--help` and the shipped configuration say:
//! `make manual`. The results are committed; `tests/packaging.rs` fails when they differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use atlaskv::exit::EXIT_CODES;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

const CONFIGURATION: &str = include_str!("../config/atlaskv.toml");
const OVERVIEW: &str = include_str!("atlaskv.7.in");
/// What no command line says of the daemon.
const DAEMON: &str = include_str!("atlaskvd.8.in");
/// Worked examples, which are too long for a command line's help.
const VERIFY: &str = include_str!("atlaskv-verify.1.in");
const CHANGELOG: &str = include_str!("debian/changelog");

/// Every page, with its section.
const PAGES: [(&str, u8); 7] = [
    ("atlaskv-bench", 1),
    ("atlaskv-compact-offline", 1),
    ("atlaskv-ctl", 1),
    ("atlaskv-verify", 1),
    ("atlaskv.toml", 5),
    ("atlaskv", 7),
    ("atlaskvd", 8),
];

#[expect(
    clippy::disallowed_methods,
    reason = "it writes into the source tree, not into a store"
)]
fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in files()? {
        std::fs::write(root.join(path), text)?;
    }
    Ok(())
}

/// What is generated: paths from the root of the repository, and contents.
pub(crate) fn files() -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for command in atlaskv::cli::commands() {
        let name = command.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command.clone(), &name, &mut script);
            let path = format!("packaging/completions/{name}.{shell}");
            files.insert(path, text(script)?);
        }
        let section = section(&name);
        files.insert(page_path(&name, section), tool(&command, section)?);
    }
    files.insert(page_path("atlaskv.toml", 5), configuration());
    files.insert(page_path("atlaskv", 7), overview());
    Ok(files)
}

fn page_path(name: &str, section: u8) -> String {
    format!("packaging/man/{name}.{section}")
}

fn section(name: &str) -> u8 {
    let page = PAGES.iter().find(|(page, _)| *page == name);
    page.map_or(1, |(_, section)| *section)
}

/// The page of the daemon or a tool.
fn tool(command: &Command, section: u8) -> io::Result<String> {
    let name = command.get_name();
    let man = Man::new(command.clone());
    let about = command.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    let mut page = title(name, section);
    _ = writeln!(
        page,
        ".SH NAME\n{} \\- {}",
        escape(name),
        escape(&summary(&about))
    );
    _ = writeln!(page, ".SH SYNOPSIS\n{}", usage(command));
    page.push_str(&render(|out| man.render_description_section(out))?);
    page.push_str(&render(|out| man.render_options_section(out))?);
    if command.has_subcommands() {
        page.push_str(".SH COMMANDS\n");
        for verb in command.get_subcommands() {
            page.push_str(&verb_section(verb, name)?);
        }
    }
    if let Some(examples) = examples(command) {
        _ = writeln!(page, ".SH EXAMPLES\n{}", literal(&examples));
    }
    if section == 8 {
        page.push_str(DAEMON);
    }
    if name == "atlaskv-verify" {
        page.push_str(VERIFY);
    }
    page.push_str(&exit_status());
    page.push_str(&see_also(name));
    Ok(page)
}

/// A verb of a tool, and the verbs below it. Options that every verb takes stand with the tool.
fn verb_section(verb: &Command, parent: &str) -> io::Result<String> {
    let name = format!("{parent} {}", verb.get_name());
    let verb = verb.clone().bin_name(&name).disable_help_flag(true);
    let (_, heading) = name.split_once(' ').unwrap_or_default();
    let mut text = format!(".SS {}\n", escape(heading));
    if verb.has_subcommands() {
        for below in verb.get_subcommands() {
            text.push_str(&verb_section(below, &name)?);
        }
        return Ok(text);
    }
    let man = Man::new(verb.clone());
    let described = render(|out| man.render_description_section(out))?;
    let options = render(|out| man.render_options_section(out))?;
    _ = writeln!(text, "{}\n.PP", usage(&verb));
    text.push_str(&without_heading(&described));
    if verb.get_arguments().next().is_some() {
        text.push_str(&without_heading(&options));
    }
    if let Some(examples) = examples(&verb) {
        _ = writeln!(text, ".PP\nExamples:\n{}", literal(&examples));
    }
    Ok(text)
}

/// The page of the configuration file: its own comments, key by key.
fn configuration() -> String {
    let mut page = title("atlaskv.toml", 5);
    page.push_str(
        ".SH NAME\natlaskv.toml \\- the configuration of atlaskvd\n.SH SYNOPSIS\n\
         .I /etc/atlaskv/atlaskv.toml\n.br\n.IR /etc/atlaskv/ NAME .toml\n.SH DESCRIPTION\n",
    );
    let mut comment: Vec<&str> = Vec::new();
    for line in CONFIGURATION.lines() {
        if let Some(words) = line.strip_prefix("# ").or((line == "#").then_some("")) {
            comment.push(words);
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            _ = writeln!(page, ".SH [{}", escape(section));
        } else if let Some(setting) = line.strip_prefix('#') {
            _ = writeln!(page, ".TP\n\\fB{}\\fR", escape(setting));
        }
        if !line.is_empty() || page.ends_with("DESCRIPTION\n") {
            page.push_str(&paragraphs(&comment));
            comment.clear();
        }
    }
    page.push_str(&see_also("atlaskv.toml"));
    page
}

/// Comment lines: indented ones keep their line ends, an empty one begins a paragraph.
fn paragraphs(lines: &[&str]) -> String {
    let mut text = String::new();
    let mut in_list = false;
    for line in lines {
        let is_list = line.starts_with("  ");
        if is_list != in_list {
            text.push_str(if is_list { ".nf\n" } else { ".fi\n" });
            in_list = is_list;
        }
        match line.trim_start() {
            "" => text.push_str(".PP\n"),
            words => _ = writeln!(text, "{}", escape(words)),
        }
    }
    if in_list {
        text.push_str(".fi\n");
    }
    text
}

/// The overview is written by hand, but for what has its one place elsewhere.
fn overview() -> String {
    let page = OVERVIEW.replace(".\\\" TITLE\n", &title("atlaskv", 7));
    page.replace(".\\\" EXIT STATUS\n", &exit_status())
        .replace(".\\\" SEE ALSO\n", &see_also("atlaskv"))
}

/// The date is the version's, so that a page does not change with the day it is made.
fn title(name: &str, section: u8) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let name = name.to_uppercase();
    let date = date(CHANGELOG).unwrap_or_default();
    format!(".TH {name} {section} \"{date}\" \"AtlasKV {version}\" \"AtlasKV\"\n")
}

/// The day of a Debian changelog's newest entry: "Mon, 23 Nov 2026 12:00:00 +0000" is 2026-11-23.
fn date(changelog: &str) -> Option<String> {
    let trailer = changelog.lines().find(|line| line.starts_with(" -- "))?;
    let mut words = trailer.split_once(">  ")?.1.split(' ').skip(1);
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let month = "JanFebMarAprMayJunJulAugSepOctNovDec".find(month)? / 3 + 1;
    Some(format!("{year}-{month:02}-{day:0>2}"))
}

fn exit_status() -> String {
    let mut text = ".SH EXIT STATUS\n".to_owned();
    for (exit, meaning) in EXIT_CODES {
        _ = writeln!(text, ".TP\n.B {}\n{}", exit.code(), escape(meaning));
    }
    text
}

fn see_also(name: &str) -> String {
    let others = PAGES.iter().filter(|(page, _)| *page != name);
    let others: Vec<String> = others
        .map(|(page, section)| format!(".BR {} ({section})", escape(page)))
        .collect();
    format!(".SH SEE ALSO\n{}\n", others.join(" ,\n"))
}

/// How a command is called, its name in bold.
fn usage(command: &Command) -> String {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let usage = command.clone().render_usage().to_string();
    let rest = usage.trim_start_matches("Usage: ").trim();
    let rest = rest.strip_prefix(&name).unwrap_or(rest);
    format!("\\fB{}\\fR{}", escape(&name), escape(rest))
}

/// The examples that stand in a command's help, without their heading and indentation.
fn examples(command: &Command) -> Option<String> {
    let help = command.get_after_help()?.to_string();
    let (_, rest) = help.split_once("Examples:\n")?;
    let (examples, _) = rest.split_once("\n\n")?;
    let lines: Vec<&str> = examples.lines().map(str::trim).collect();
    Some(lines.join("\n"))
}

/// A name section holds one phrase: the first, with a small letter and without its full stop.
fn summary(about: &str) -> String {
    let phrase = about.split(". ").next().unwrap_or_default();
    let mut letters = phrase.trim_end_matches('.').chars();
    let first = letters
        .next()
        .map(|letter| letter.to_lowercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// Lines that stay as they are.
fn literal(lines: &str) -> String {
    let lines: Vec<String> = lines.lines().map(escape).collect();
    format!(".RS 4\n.nf\n{}\n.fi\n.RE", lines.join("\n"))
}

/// Text that means nothing to roff.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

fn render(section: impl Fn(&mut Vec<u8>) -> io::Result<()>) -> io::Result<String> {
    let mut out = Vec::new();
    section(&mut out)?;
    // clap_mangen's empty line before possible values, as roff wants it.
    Ok(text(out)?.replace("\n.br\n\n.br\n", "\n.sp\n"))
}

/// What stands below the heading of a section.
fn without_heading(section: &str) -> String {
    let below = section
        .split_once("\n.SH ")
        .map_or(section, |(_, rest)| rest);
    below
        .split_once('\n')
        .map_or("", |(_, text)| text)
        .to_owned()
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
