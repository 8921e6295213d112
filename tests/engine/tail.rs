//! The end of the log: where it is, what proves more, what is cut.

use atlaskv::storage::{AtlasError, Engine, KIB, Lsn, Options};

use crate::damage::{
    self, check_contents, fill, first, flip, interval, log_of, refusal, three_segments,
};
use crate::sim_disk::{Loss, SimDisk};
use crate::store::{self, Contents, path};

#[test]
fn zeros_are_the_end() {
    let (disk, model) = log_of(&interval(), 5, 5, 100);
    let engine = store::open(&disk, &interval()).unwrap();
    let report = engine.recovery_report();
    assert_eq!((report.cut_from, report.cut_bytes), (None, 0), "{report:?}");
    assert!(
        report.quarantined.is_empty() && report.notes.is_empty(),
        "{report:?}"
    );
    assert_eq!(report.replayed_operations, 10);
    check_contents(&engine, &model, "zeros at the end");
}

#[test]
fn an_unproven_tail_is_cut_and_kept() {
    let (disk, model) = log_of(&interval(), 5, 5, 100);
    let segment = store::segments(&disk)[0].clone();
    let log = damage::bytes(&disk, &segment);
    let entries = damage::entries(&log);
    for (number, entry) in entries.iter().enumerate().skip(5) {
        for at in entry.place.clone() {
            let damaged = disk.copy();
            flip(&damaged, &segment, at, (at % 8) as u8);
            let mut tail = damage::bytes(&damaged, &segment);
            let engine = store::open(&damaged, &interval()).unwrap();
            let report = engine.recovery_report();
            assert_eq!(report.cut_from, Some(entry.lsn), "byte {at}");
            assert_eq!(report.last_lsn, entries[number - 1].lsn, "byte {at}");
            check_contents(&engine, &first(&model, number), "a torn tail");

            let end = entries.last().unwrap().place.end;
            assert_eq!(report.cut_bytes, (end - entry.place.start) as u64);
            let kept = engine.quarantine_list().unwrap();
            assert_eq!(kept.len(), 1, "{kept:?}");
            assert_eq!(report.quarantined, [kept[0].name.clone()]);
            // The original is deleted by now: what was kept must outlive a power cut.
            let after = damaged.crash_image(Loss::DropAll, 0);
            let kept = damage::bytes(&after, &path("quarantine").join(&kept[0].name));
            tail.truncate(end);
            assert_eq!(
                kept,
                tail[entry.place.start..],
                "byte {at}: other bytes were kept"
            );

            drop(engine);
            let again = store::open(&damaged, &interval()).unwrap();
            assert_eq!(again.recovery_report().cut_from, None, "it was cut twice");
            check_contents(&again, &first(&model, number), "started twice");
        }
    }
}

#[test]
fn position_proves_nothing() {
    // Nothing was synced: damage in the first of three segments cuts there, and the others are kept.
    let (disk, model, options) = three_segments(false);
    let segments = store::segments(&disk);
    let entries = damage::entries(&damage::bytes(&disk, &segments[0]));
    for (number, entry) in entries.iter().enumerate() {
        let damaged = disk.copy();
        flip(&damaged, &segments[0], entry.place.end - 1, 0);
        let later = [1, 2].map(|place| damage::bytes(&damaged, &segments[place]));
        let engine = store::open(&damaged, &options).unwrap();
        let report = engine.recovery_report();
        assert_eq!(report.cut_from, Some(entry.lsn), "{report:?}");
        check_contents(&engine, &first(&model, number), "cut in the first segment");
        let files = damaged.crash_image(Loss::DropAll, 0).files();
        let kept: Vec<_> = files
            .iter()
            .filter(|(path, _)| path.starts_with(store::path("quarantine")))
            .map(|(_, bytes)| bytes)
            .collect();
        assert_eq!(kept.len(), 3, "the cut bytes and two segments");
        for segment in &later {
            assert!(
                kept.contains(&segment),
                "a later segment is not in quarantine"
            );
        }
        let lost = entries[number].lsn;
        let error = engine.sync_to(lost).unwrap_err();
        assert!(matches!(error, AtlasError::LsnLost { .. }), "{error:?}");
    }
}

#[test]
fn every_subset_of_the_last_unsynced_pages_starts() {
    const PAGE: usize = 4096;
    for unsynced in [8, 3] {
        let options = interval();
        let (disk, model) = log_of(&options, 20, 34 * unsynced / 3, 350);
        let segment = store::segments(&disk)[0].clone();
        let log = damage::bytes(&disk, &segment);
        let entries = damage::entries(&log);
        let synced_to = entries[19].place.end;
        let end = entries.last().unwrap().place.end;
        let pages: Vec<usize> = (synced_to / PAGE..end.div_ceil(PAGE)).collect();
        let pages = &pages[pages.len().saturating_sub(8)..];
        for subset in 1_u32..1 << pages.len() {
            let torn = disk.copy();
            torn.edit(&segment, |bytes| {
                for (bit, page) in pages.iter().enumerate() {
                    if subset & (1 << bit) != 0 {
                        bytes[(page * PAGE).max(synced_to)..(page + 1) * PAGE].fill(0);
                    }
                }
            });
            let engine = store::open(&torn, &options)
                .unwrap_or_else(|error| panic!("subset {subset:b}: {error}"));
            let found = store::contents(&engine).unwrap();
            assert!(found.len() >= 20, "subset {subset:b}: synced keys are lost");
            let expected = first(&model, found.len());
            assert_eq!(
                store::difference(&found, &expected),
                "",
                "subset {subset:b}"
            );
        }
    }
}

/// Waits, by looking, until a quiet store has appended its mark.
fn wait_for_mark(engine: &Engine) {
    let before = engine.stats().log_bytes;
    while engine.stats().log_bytes == before {
        engine.maintain().unwrap();
        std::thread::yield_now();
    }
}

#[test]
fn a_mark_after_a_quiet_moment_proves_the_last_writes() {
    let disk = SimDisk::new(3);
    let engine = store::open(&disk, &interval()).unwrap();
    let mut model = Contents::new();
    fill(&engine, &mut model, 0..5, 40);
    engine.sync().unwrap();
    wait_for_mark(&engine);
    // No mark follows a mark.
    let after = engine.stats().log_bytes;
    let until = std::time::Instant::now() + std::time::Duration::from_millis(120);
    while std::time::Instant::now() < until {
        engine.maintain().unwrap();
    }
    assert_eq!(engine.stats().log_bytes, after);

    // A power cut loses nothing; damage to any write is found.
    let disk = disk.crash_image(Loss::DropAll, 0);
    let segment = store::segments(&disk)[0].clone();
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    assert_eq!(entries.iter().filter(|entry| entry.kind == 1).count(), 5);
    for entry in entries.iter().filter(|entry| entry.kind == 1) {
        for at in entry.place.clone() {
            let damaged = disk.copy();
            flip(&damaged, &segment, at, (at % 8) as u8);
            let error = refusal(&damaged, &interval(), &format!("byte {at} flipped"));
            let found = matches!(error, AtlasError::SyncedDataDamaged { .. });
            assert!(found, "byte {at}: {error:?}");
        }
    }
}

#[test]
fn lsns_are_never_given_twice_and_lost_ones_are_told() {
    let (disk, model) = log_of(&interval(), 3, 3, 40);
    let answered: Vec<Lsn> = model.values().map(|value| value.0).collect();
    let disk = disk.crash_image(Loss::DropAll, 0);
    let engine = store::open(&disk, &interval()).unwrap();
    check_contents(&engine, &first(&model, 3), "three were synced");
    for lsn in &answered[..3] {
        assert!(engine.sync_to(*lsn).unwrap() >= *lsn);
    }
    for lsn in &answered[3..] {
        let error = engine.sync_to(*lsn).unwrap_err();
        let AtlasError::LsnLost { last, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(last, answered[2]);
    }
    let next = engine.put(b"next", b"").unwrap();
    assert!(next > answered[5]);
    let beyond = engine
        .sync_to(Lsn::from_u64(next.as_u64() + 5))
        .unwrap_err();
    assert!(
        matches!(beyond, AtlasError::LsnNotAssigned { .. }),
        "{beyond:?}"
    );
}

#[test]
fn a_clients_value_cannot_pose_as_an_entry() {
    // A value that holds a whole valid entry of an earlier segment, with a durable LSN of its own.
    let options = interval();
    let (disk, model) = log_of(&options, 5, 0, 40);
    let segment = store::segments(&disk)[0].clone();
    let log = damage::bytes(&disk, &segment);
    let mut posing = Vec::new();
    for entry in damage::entries(&log) {
        posing.extend_from_slice(&log[entry.place]);
    }
    let engine = store::open(&disk, &options).unwrap();
    engine.put(b"first", b"1").unwrap();
    engine.put(b"posing", &posing).unwrap();
    let disk = disk.copy();
    let segment = store::segments(&disk)[0].clone();
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    flip(&disk, &segment, entries[0].place.start, 0);
    let engine = store::open(&disk, &options).unwrap();
    assert_eq!(engine.recovery_report().cut_from, Some(entries[0].lsn));
    check_contents(&engine, &model, "nothing posed");
}

/// What is read of a segment at once, as far as the tests care: proofs are put around its multiples.
const WINDOW: usize = 256 * KIB;

#[test]
fn a_proof_is_found_wherever_it_stands() {
    let options = Options {
        max_value_size: 1024 * KIB,
        max_batch_size: 1025 * KIB,
        memtable_size: 4096 * KIB,
        segment_size: 4096 * KIB,
        ..interval()
    };
    for shift in 0..24 {
        let disk = SimDisk::new(3);
        let engine = store::open(&disk, &options).unwrap();
        engine.put(b"damaged", b"synced").unwrap();
        engine.sync().unwrap();
        // The next entry is not damaged, but not the next either. The nonce of the one after it lies
        // around the end of the first window that is looked through.
        let segment = store::segments(&disk)[0].clone();
        let from = damage::entries(&damage::bytes(&disk, &segment))[0]
            .place
            .clone();
        let head = 16 + 9;
        let nonce_at = from.start + WINDOW - 16 + shift;
        let rough = nonce_at - head - from.end - 100;
        engine.put(b"filler", &vec![1; rough]).unwrap();
        let ends = damage::entries(&damage::bytes(&disk, &segment))[1]
            .place
            .end;
        engine
            .put(b"f", &vec![2; nonce_at - head - ends - 36])
            .unwrap();
        engine.put(b"carrier", b"of the proof").unwrap();
        let disk = disk.copy();
        let log = damage::bytes(&disk, &segment);
        let entries = damage::entries(&log);
        let carrier = entries.last().unwrap().place.start;
        assert!(
            (carrier + head).abs_diff(nonce_at) < 12,
            "{carrier} {nonce_at}"
        );
        // Only the last entry carries the proof.
        disk.edit(&segment, |bytes| bytes[from.start..carrier].fill(0xEE));
        let error = refusal(&disk, &options, &format!("shift {shift}"));
        let found = matches!(error, AtlasError::SyncedDataDamaged { .. });
        assert!(found, "shift {shift}: {error:?}");
    }
}

#[test]
fn entries_larger_than_any_window_are_replayed() {
    let options = Options {
        max_value_size: 1024 * KIB,
        max_batch_size: 1025 * KIB,
        memtable_size: 512 * KIB,
        segment_size: 8192 * KIB,
        ..interval()
    };
    let disk = SimDisk::new(3);
    let engine = store::open(&disk, &options).unwrap();
    let mut model = Contents::new();
    for (number, length) in [10, 300_000, 5, 900_000, 262_144, 262_101, 4096, 700_000, 1]
        .into_iter()
        .enumerate()
    {
        let changes = [(vec![number as u8 + 1], Some(vec![number as u8; length]))];
        let lsn = store::write(&engine, &changes).unwrap();
        store::apply(&mut model, &changes, lsn);
    }
    let disk = disk.copy();
    let engine = store::open(&disk, &options).unwrap();
    check_contents(&engine, &model, "large entries");
    drop(engine);
    let engine = store::open(&disk.crash_image(Loss::DropAll, 0), &options).unwrap();
    check_contents(&engine, &model, "large entries after a power cut");
}

/// A block of another, deleted file may show through after a power cut.
#[test]
fn an_entry_of_another_segment_is_none() {
    let options = interval();
    let (disk, model) = log_of(&options, 3, 0, 100);
    let other = SimDisk::new(77);
    let engine = store::open(&other, &options).unwrap();
    fill(&engine, &mut Contents::new(), 0..6, 100);
    let segment = store::segments(&disk)[0].clone();
    let stale = damage::bytes(&other, &segment);
    let entries = damage::entries(&damage::bytes(&disk, &segment));
    let end = entries[2].place.end;
    let stale_entries = damage::entries(&stale);
    assert_eq!(stale_entries[2].place, entries[2].place);
    assert_eq!(stale_entries[3].lsn, entries[2].lsn.next().unwrap());
    disk.edit(&segment, |bytes| {
        bytes[end..].copy_from_slice(&stale[end..]);
    });
    let engine = store::open(&disk, &options).unwrap();
    check_contents(&engine, &model, "a stale block behind the end");
    let report = engine.recovery_report();
    assert_eq!(report.cut_from, entries[2].lsn.next(), "{report:?}");
}
