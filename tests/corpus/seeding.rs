//! Writes the inputs that are real files and examples: `cargo test --test corpus -- --ignored`, after a
//! format or the protocol has changed. What was found by fuzzing is added by hand.

use std::fs;

use crate::{directory, harness};

const DOCUMENT: &str = include_str!("../../docs/protocol.md");
const CONFIGURATION: &str = include_str!("../../config/atlaskv.toml");
const GOLDEN: [(&str, &str, &str); 4] = [
    (
        "segment",
        "golden",
        include_str!("../golden/segment_v1.hex"),
    ),
    ("table", "golden", include_str!("../golden/table_v1.hex")),
    ("table", "golden-v2", include_str!("../golden/table_v2.hex")),
    (
        "manifest",
        "golden",
        include_str!("../golden/manifest_v1.hex"),
    ),
];

fn keep(target: &str, name: &str, bytes: &[u8]) {
    fs::create_dir_all(directory(target)).unwrap();
    fs::write(directory(target).join(name), bytes).unwrap();
}

/// The bytes of hexadecimal text without its comments.
fn unhex(text: &str) -> Vec<u8> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    let digits: String = lines.flat_map(str::split_whitespace).collect();
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(byte).collect()
}

#[test]
#[ignore = "writes fuzz/corpus"]
fn seeds_are_written() {
    for (number, (target, bytes)) in harness::seeds().into_iter().enumerate() {
        keep(target, &format!("store-{}", number % 2), &bytes);
    }
    for (target, name, text) in GOLDEN {
        for mode in [0, 1] {
            let bytes = [vec![mode], unhex(text)].concat();
            keep(target, &format!("{name}-{mode}"), &bytes);
        }
    }
    for (name, bytes) in examples() {
        let target = if name.starts_with("request") {
            "request"
        } else {
            "response"
        };
        let file = name.replace([' ', ',', ':'], "-").replace("--", "-");
        keep(target, &file, &bytes);
    }
    keep("configuration", "shipped", CONFIGURATION.as_bytes());
    let settings = CONFIGURATION
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with([' ', '#']) => rest,
            _ => line,
        });
    let set: Vec<&str> = settings.filter(|line| !line.starts_with("# ")).collect();
    keep("configuration", "all-set", set.join("\n").as_bytes());
    keep(
        "import_tsv",
        "entries",
        b"apple\tred\na\\tb\t\\xff\\n\\\\\nk\t\n\tno key\nno tab\n",
    );
    let lines = r#"{"key":"apple","value":"red"}
{"key_hex":"00ff","value_hex":""}
{"key":"a","lsn":"3/4","value":"\u2028\ud83d\ude00"}
{"key":"a","key_hex":"61","value":""}
"#;
    keep("import_jsonl", "entries", lines.as_bytes());
}

/// The byte examples of the protocol's document, by name.
fn examples() -> Vec<(String, Vec<u8>)> {
    let blocks = DOCUMENT.split("```frame ").skip(1);
    let example = |block: &str| {
        let (name, rest) = block.split_once('\n').unwrap();
        let lines = rest.lines().take_while(|line| *line != "```");
        let bytes = lines.flat_map(|line| line.split('|').next().unwrap().split_whitespace());
        let bytes = bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap());
        (name.to_owned(), bytes.collect())
    };
    blocks.map(example).collect()
}
