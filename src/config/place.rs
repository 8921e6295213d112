//! Where in a configuration file something stands: line, column and key.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Source;

/// A key, as `section.key`, and the bytes it and its value take.
struct Entry {
    key: String,
    span: Range<usize>,
}

/// File, line, column and key of what the parser refused.
pub(super) fn of_error(source: &Source, error: &toml::de::Error) -> String {
    let Some(span) = error.span() else {
        return source.name.clone();
    };
    let offset = span.start;
    let entries = entries(&source.text);
    let inside = |entry: &&Entry| entry.span.contains(&offset);
    // The innermost: sections span their keys.
    let key = entries
        .iter()
        .filter(inside)
        .min_by_key(|entry| entry.span.len());
    let place = at(source, offset);
    match key
        .map(|entry| entry.key.clone())
        .or_else(|| key_of_line(&source.text, offset))
    {
        Some(key) => format!("{place}: {key}"),
        None => place,
    }
}

/// Every key, with its section, in the order of the text.
pub(super) fn keys(text: &str) -> Vec<String> {
    let mut entries = entries(text);
    entries.sort_by_key(|entry| entry.span.start);
    entries.into_iter().map(|entry| entry.key).collect()
}

/// File and line of a key.
pub(super) fn line_of(source: &Source, key: &str) -> Option<String> {
    let entries = entries(&source.text);
    let entry = entries.iter().find(|entry| entry.key == key)?;
    let (line, _) = line_and_column(&source.text, entry.span.start);
    Some(format!("{}:{line}", source.name))
}

/// File, line, column and key of a key, or the key alone when the file does not have it.
pub(super) fn of_key(source: &Source, key: &str) -> String {
    let entries = entries(&source.text);
    match entries.iter().find(|entry| entry.key == key) {
        Some(entry) => format!("{}: {key}", at(source, entry.span.start)),
        None => key.to_owned(),
    }
}

fn at(source: &Source, offset: usize) -> String {
    let (line, column) = line_and_column(&source.text, offset);
    format!("{}:{line}:{column}", source.name)
}

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    (line, column)
}

/// Every key of the text, as far as it can be read.
fn entries(text: &str) -> Vec<Entry> {
    let (table, _) = DeTable::parse_recoverable(text);
    let mut found = Vec::new();
    collect(table.get_ref(), "", &mut found);
    found
}

/// Sections are one deep; what is nested deeper is an error that names its section.
fn collect(table: &DeTable<'_>, section: &str, found: &mut Vec<Entry>) {
    for (name, value) in table {
        let key = match section {
            "" => name.get_ref().to_string(),
            section => format!("{section}.{}", name.get_ref()),
        };
        if let (DeValue::Table(inner), "") = (value.get_ref(), section) {
            collect(inner, &key, found);
        }
        let span = name.span().start..value.span().end.max(name.span().end);
        found.push(Entry { key, span });
    }
}

/// What stands before `=` on the line of `offset`: for text that is not TOML at all.
fn key_of_line(text: &str, offset: usize) -> Option<String> {
    let start = text
        .get(..offset)?
        .rfind('\n')
        .map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next()?;
    let (key, _) = line.split_once('=')?;
    Some(key.trim().to_owned())
}
