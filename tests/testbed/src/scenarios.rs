//! The experiments, each a few lines: what happens on the spec in the folder of the same name.

use crate::scenario::{Act, Scenario};
use std::path::{Path, PathBuf};
use std::time::Duration;

const NOW: Duration = Duration::ZERO;
/// So long that nothing ends while an experiment lasts.
const LONG: Duration = Duration::from_secs(900);

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    vec![
        // Twelve where sixteen fit: there is no reason to leave.
        scenario(
            "fits",
            "12 jobs at once, and room for 16 in private",
            &[(NOW, jobs("train", 12, 0, LONG))],
        ),
        scenario(
            "fits-beside-nodes",
            "12 jobs at once, room for 16 in private, and as much in public that is there already",
            &[(NOW, jobs("train", 12, 0, LONG))],
        ),
        scenario(
            "plain",
            "32 jobs at once on 16 private slots; public begins with no node",
            &[(NOW, jobs("train", 32, 0, LONG))],
        ),
        scenario(
            "stream",
            "40 jobs, one every half a second, each for 12 s",
            &[(NOW, jobs("train", 40, 500, seconds(12)))],
        ),
        scenario(
            "waves",
            "three waves of 12 jobs, 20 s apart, each job for 25 s",
            &[
                (NOW, jobs("train", 12, 0, seconds(25))),
                (seconds(20), jobs("train", 12, 0, seconds(25))),
                (seconds(40), jobs("train", 12, 0, seconds(25))),
            ],
        ),
        scenario(
            "mixed-sizes",
            "jobs of 3, 1 and 2 CPUs on nodes of 4: what is free is in pieces",
            &[
                (NOW, jobs("large", 4, 0, LONG)),
                (seconds(3), jobs("small", 3, 0, LONG)),
                (seconds(6), jobs("medium", 4, 0, LONG)),
            ],
        ),
        scenario(
            "gpus",
            "6 jobs of one GPU where private has 4, beside 8 jobs without",
            &[
                (NOW, jobs("gpu", 6, 0, LONG)),
                (NOW, jobs("train", 8, 0, LONG)),
            ],
        ),
        scenario(
            "other-pods",
            "others take 8 of the 16 private slots, then 12 jobs come",
            &[
                (
                    NOW,
                    Act::OtherPods {
                        cluster: "private",
                        count: 8,
                        cpu: 1,
                        run_for: LONG,
                    },
                ),
                (seconds(4), jobs("train", 12, 0, LONG)),
            ],
        ),
        scenario(
            "two-public",
            "36 jobs on 16 private slots and two public clusters of weight 3 to 1",
            &[(NOW, jobs("train", 36, 0, LONG))],
        ),
        Scenario {
            spec: "fits-beside-nodes",
            ..scenario(
                "ready",
                "20 jobs at once, room for 16 in private, and as much in public that is there already",
                &[(NOW, jobs("train", 20, 0, LONG))],
            )
        },
        Scenario {
            spec: "fits-beside-nodes",
            ..scenario(
                "lost-leader",
                "20 jobs at once, room for 16 in private; the leading reconciler is killed under them",
                &[
                    (NOW, jobs("train", 20, 0, LONG)),
                    (
                        seconds(3),
                        Act::LoseLeader {
                            back_after: seconds(30),
                        },
                    ),
                ],
            )
        },
        Scenario {
            spec: "fits-beside-nodes",
            ..scenario(
                "lost-api-server",
                "20 jobs at once, room for 16 in private; the source's API server is killed under them",
                &[
                    (NOW, jobs("train", 20, 0, LONG)),
                    (
                        seconds(5),
                        Act::LoseServer {
                            cluster: "private",
                            back_after: seconds(3),
                        },
                    ),
                ],
            )
        },
        Scenario {
            spec: "fits-beside-nodes",
            ..scenario(
                "silence",
                "20 jobs at once, room for 16 in private; public is not heard from for 40 s",
                &[
                    (NOW, jobs("train", 20, 0, LONG)),
                    (
                        seconds(5),
                        Act::Silence {
                            cluster: "public",
                            lasts: seconds(40),
                        },
                    ),
                ],
            )
        },
        Scenario {
            most: seconds(600),
            ..scenario(
                "many",
                "200 jobs at once, room for 100 in private, and two public clusters of weight 3 to 1",
                &[(NOW, jobs("train", 200, 0, LONG))],
            )
        },
        scenario(
            "lost-node",
            "a private node breaks under 14 jobs: 4 of their pods are made again where 12 slots are left",
            &[
                (NOW, jobs("train", 14, 0, LONG)),
                (
                    seconds(15),
                    Act::LoseNode {
                        cluster: "private",
                        node: "private-cpu-0",
                    },
                ),
            ],
        ),
    ]
}

/// The scenario of a name.
///
/// # Panics
/// Where there is none.
pub fn named(name: &str) -> Scenario {
    all()
        .into_iter()
        .find(|scenario| scenario.name == name)
        .unwrap_or_else(|| panic!("no scenario {name}"))
}

/// The folder with the spec of a scenario: one of its own, or the plain one.
pub fn spec(scenario: &Scenario) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let own = folder.join(scenario.spec);
    if own.is_dir() {
        own
    } else {
        folder.join("plain")
    }
}

fn scenario(name: &'static str, title: &'static str, acts: &[(Duration, Act)]) -> Scenario {
    Scenario {
        name,
        spec: name,
        title,
        acts: acts.to_vec(),
        node_delay: seconds(5),
        most: seconds(150),
    }
}

fn jobs(workload: &'static str, count: u32, every_milliseconds: u64, run_for: Duration) -> Act {
    Act::Jobs {
        workload,
        count,
        every: Duration::from_millis(every_milliseconds),
        run_for,
    }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
