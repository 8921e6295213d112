//! A store in a few lines: what everything else builds on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test code"
)]

use atlaskv::storage::*;

fn options(sync: WalSyncStrategy, background: bool) -> Options {
    Options {
        sync,
        memtable_size: 16 * KIB,
        segment_size: 16 * KIB,
        background,
        ..Options::default()
    }
}

#[test]
fn what_was_written_is_read_before_and_after_a_restart() {
    for background in [false, true] {
        for sync in [
            WalSyncStrategy::EveryWrite,
            WalSyncStrategy::Interval { ms: 5 },
            WalSyncStrategy::OsDefault,
        ] {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("data");
            for round in 0..3_u32 {
                let engine =
                    Engine::open(RealDisk::shared(), &dir, options(sync, background)).unwrap();
                if round > 0 {
                    assert_eq!(
                        engine.recovery_report().clean_shutdown,
                        round == 2,
                        "{:?}",
                        engine.recovery_report()
                    );
                }
                for number in 0..500_u32 {
                    let key = format!("key{number:05}");
                    if round > 0 {
                        let found = engine.get(key.as_bytes()).unwrap();
                        assert_eq!(
                            found.map(|f| f.value.to_vec()),
                            Some(format!("value{}", round - 1).into_bytes())
                        );
                    }
                    engine
                        .put(key.as_bytes(), format!("value{round}").as_bytes())
                        .unwrap();
                    assert!(engine.exists(key.as_bytes()).unwrap());
                    if !background && number % 100 == 0 {
                        engine.maintain().unwrap();
                    }
                }
                let mut scan = engine.scan(&ScanRange::default()).unwrap();
                let page = scan.next_page(10_000, 1 << 30, &mut |_| Ok(())).unwrap();
                assert_eq!((page.entries.len(), page.done), (500, true));
                drop(scan);
                if round == 1 {
                    engine.close().unwrap();
                }
                if round == 2 {
                    let summary = engine.compact().unwrap();
                    assert_eq!((summary.tables_after, summary.entries_after), (1, 500));
                }
                println!("{:?}", engine.stats());
            }
        }
    }
}
