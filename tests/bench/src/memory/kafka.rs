//! Records of all sizes, written to a topic as fast as the broker takes them. After a while the trouble ends, and all
//! must arrive.

use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::{LONGEST_WAIT, MIB, Options, Outcome, Setting, next};
use crate::receiver::Behaviour;
use crate::topic::Topic;

pub(super) async fn run(
    options: &Options,
    setting: &mut Setting,
    topic: Topic,
    bytes: u64,
) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let far_end = setting.far_end.clone();
    spawn_blocking(move || {
        let mut offered = 0;
        while offered < bytes {
            let (number, action) = next(&far_end);
            offered += action.len() as u64;
            topic.send(number, &action)?;
        }
        topic.flush()
    })
    .await??;
    let seconds = start.elapsed().as_secs_f64();
    sleep(Duration::from_secs(options.seconds)).await;
    let before = setting.far_end.count().arrived;
    setting.troubled.behave(Behaviour::Well);
    let timeout = Duration::from_secs(options.timeout_seconds);
    let ending = setting.server.ending(&setting.far_end, timeout).await?;
    sleep(LONGEST_WAIT).await;
    Ok(Outcome {
        figures: vec![
            ("offered MiB", bytes as f64 / MIB),
            ("after s", seconds),
            ("actions", ending.offered as f64),
            ("there in trouble", before as f64),
            ("all there after s", ending.took.as_secs_f64()),
        ],
        lost: ending.lost,
        dead_lettered: ending.dead_lettered,
    })
}
