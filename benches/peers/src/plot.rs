//! The same as pictures, by gnuplot: how far AtlasKV is from each bar, and what growth costs.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::bars::{Against, BARS, Bar, Better};
use crate::samples::Samples;

/// Title, figures up to the size, and whether the values are spread over powers of ten.
const GROWTH: [(&str, &str, &str); 6] = [
    ("puts per second", "growth.fill@", ".per_s"),
    ("gets per second", "growth.read@", ".per_s"),
    ("get p99, us", "growth.read@", ".p99_us"),
    (
        "write amplification",
        "growth.overwrite-quiet@",
        ".write_amp",
    ),
    (
        "space amplification",
        "growth.overwrite-quiet@",
        ".space_amp",
    ),
    (
        "peak memory, MiB",
        "growth.overwrite-quiet@",
        ".peak_rss_mib",
    ),
];
const CONNECTIONS: (&str, &str, &str) = (
    "GET per second by connections",
    "server.interval.get-c",
    "-p1.per_s",
);

/// Draws into a directory what was measured of it.
pub(crate) fn draw(samples: &Samples, dir: &Path) -> io::Result<()> {
    let available = Command::new("gnuplot").arg("--version").output();
    if !available.is_ok_and(|output| output.status.success()) {
        eprintln!("no pictures: gnuplot is not installed (Debian: gnuplot-nox)");
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    if let Some(script) = ratios(samples) {
        both(dir, "performance", (1000, 760), &script)?;
    }
    if let Some(script) = growth(samples) {
        both(dir, "performance-growth", (1100, 900), &script)?;
    }
    Ok(())
}

/// As SVG and as PNG.
fn both(dir: &Path, name: &str, (width, height): (u32, u32), script: &str) -> io::Result<()> {
    for (terminal, ending) in [
        ("svg background '#ffffff' font 'sans,13'", "svg"),
        ("pngcairo font 'sans,10'", "png"),
    ] {
        let file = dir.join(format!("{name}.{ending}"));
        let mut process = Command::new("gnuplot").stdin(Stdio::piped()).spawn()?;
        let mut input = process.stdin.take().unwrap();
        writeln!(input, "set terminal {terminal} size {width},{height}")?;
        writeln!(input, "set output '{}'", file.display())?;
        input.write_all(script.as_bytes())?;
        drop(input);
        if !process.wait()?.success() {
            return Err(io::Error::other(format!(
                "gnuplot cannot draw {}",
                file.display()
            )));
        }
    }
    Ok(())
}

/// Each bar's ratio as an advantage: right of 1 AtlasKV is ahead, whichever way is better.
fn ratios(samples: &Samples) -> Option<String> {
    let rows: Vec<_> = BARS.iter().filter_map(|bar| row(bar, samples)).collect();
    if rows.is_empty() {
        return None;
    }
    let mut script = String::from("$rows << END\n");
    for (place, row) in rows.iter().enumerate() {
        let _ = writeln!(script, "{} {row}", rows.len() - place);
    }
    let _ = writeln!(
        script,
        "END
set title 'AtlasKV to its peers: median of alternating runs, least to most'
set logscale x 2
set xlabel 'times better than the peer (of latencies and amplifications: times less)'
set xrange [0.03125:32]
set yrange [0:{}]
set grid x
set key bottom right
set lmargin 52
plot $rows using 3:1:4:5:ytic(2) with xerrorbars pt 7 ps 0.8 lc rgb '#1f5fa8' title 'AtlasKV', \\
     $rows using 6:1 with points pt 2 ps 1 lc rgb '#b03030' title 'at least', \\
     $rows using 7:1 with points pt 4 ps 1 lc rgb '#308040' title 'aim'",
        rows.len() + 1
    );
    Some(script)
}

fn row(bar: &Bar, samples: &Samples) -> Option<String> {
    if matches!(bar.against, Against::Nothing) {
        return None;
    }
    let ratio = bar.measured(samples)?.ratio;
    let advantage = |ratio: f64| match bar.better {
        Better::Higher => ratio,
        Better::Lower => 1.0 / ratio,
    };
    let (one, other) = (advantage(ratio.least), advantage(ratio.most));
    let title = if bar.title.starts_with("its ") {
        format!(
            "{} ({})",
            bar.title,
            bar.figure.split('.').nth(2).unwrap_or(bar.figure)
        )
    } else {
        bar.title.to_owned()
    };
    Some(format!(
        "\"{title}, {}\" {} {} {} {} {}",
        bar.peer(),
        advantage(ratio.median),
        one.min(other),
        one.max(other),
        advantage(bar.least),
        advantage(bar.aim)
    ))
}

/// A panel for each figure that was measured in more than one size.
fn growth(samples: &Samples) -> Option<String> {
    let all = GROWTH.iter().map(|panel| (*panel, "keys"));
    let all = all.chain([(CONNECTIONS, "connections")]);
    let panels: Vec<_> = all
        .filter_map(|(panel, axis)| self::panel(samples, panel, axis))
        .collect();
    if panels.is_empty() {
        return None;
    }
    let lines = panels.len().div_ceil(2);
    let head =
        format!("set multiplot layout {lines},2\nset logscale x\nset grid\nset key bottom left\n");
    Some(format!("{head}{}unset multiplot\n", panels.concat()))
}

fn panel(samples: &Samples, (title, start, end): (&str, &str, &str), axis: &str) -> Option<String> {
    let size = |figure: &str| -> Option<u64> {
        figure.strip_prefix(start)?.strip_suffix(end)?.parse().ok()
    };
    let mut sizes: Vec<u64> = samples
        .figures()
        .iter()
        .filter_map(|figure| size(figure))
        .collect();
    sizes.sort_unstable();
    if sizes.len() < 2 {
        return None;
    }
    let (mut data, mut plots) = (String::new(), Vec::new());
    for (place, store) in samples.stores().iter().enumerate() {
        let points = sizes.iter().filter_map(|size| {
            let spread = samples.spread(&format!("{start}{size}{end}"), store)?;
            Some(format!("{size} {}\n", spread.median))
        });
        let points: String = points.collect();
        if !points.is_empty() {
            let _ = write!(data, "$store{place} << END\n{points}END\n");
            plots.push(format!(
                "$store{place} using 1:2 with linespoints lw 2 title '{store}'"
            ));
        }
    }
    let plots = plots.join(", ");
    Some(format!(
        "{data}set title '{title}'\nset xlabel '{axis}'\nset yrange [0:*]\nplot {plots}\n"
    ))
}
