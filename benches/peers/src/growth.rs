//! What the same costs when there is more of it: each engine alone, one size after another.

use std::io;

use crate::engines::{self, Group};
use crate::plan::Plan;
use crate::samples::Samples;
use crate::store::{MEMTABLE, Settings};
use crate::workloads::Step;

/// One round of the part `growth`. The size stands at the end of the workload's name: `growth.fill@1000000`.
pub(crate) fn measure(plan: &Plan, samples: &mut Samples) -> io::Result<()> {
    for keys in plan.growth.iter().copied() {
        for kind in &plan.stores {
            let mut group = Group::new(plan, &format!("growth-{keys}"), 0)?;
            let settings = Settings {
                durable: false,
                memtable: MEMTABLE,
            };
            group.start(&[*kind], settings, keys)?;
            let steps = [
                ("fill", Step::Fill),
                ("fill-quiet", Step::Quiesce),
                ("read", read(plan)),
                ("overwrite", Step::Overwrite { times: 1 }),
                ("overwrite-quiet", Step::Quiesce),
            ];
            for (name, step) in steps {
                group.step(&format!("growth.{name}@{keys}"), step, samples)?;
            }
        }
    }
    for mib in plan.growth_log_mib.iter().copied() {
        engines::recover(plan, 0, mib, &format!("growth.recovery@{mib}"), samples)?;
    }
    Ok(())
}

fn read(plan: &Plan) -> Step {
    Step::Read {
        hit: true,
        threads: 1,
        seconds: plan.seconds,
    }
}
