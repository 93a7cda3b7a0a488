//! From being asked to stop to the end of all processes, with a small layer and a large one.

use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use slugline_model::dyno::Event;
use slugline_model::port::Engine as _;
use slugline_model::slug::SlugView;

use crate::Failed;
use crate::host::{self, Host};
use crate::rows::{self, Row};

const MANY: &str = "mkdir d && cd d && seq 50000 | split -l 1 -a 5 - f; echo done; exec sleep 3600";

pub(crate) fn stop(directory: &Path) -> Result<(), Failed> {
    let slug = directory.join("empty");
    std::fs::create_dir_all(slug.join("app"))?;
    let view = SlugView::Tree(slug);
    let host = Rc::new(Host::open(&directory.join("dynos-stop"))?);
    let row = |name: &str, command: &'static str| {
        let (host, view) = (Rc::clone(&host), view.clone());
        Row::new(name, move || {
            let spec = host::spec(&view, command)?;
            host.engine.start(&spec)?;
            host.wait(spec.id, |event| matches!(event, Event::Line { .. }).then_some(()))?;
            let asked = Instant::now();
            host.engine.stop(spec.id)?;
            host.wait(spec.id, |event| matches!(event, Event::Exited { .. }).then_some(()))?;
            let time = asked.elapsed();
            host.wait_for_end(spec.id)?;
            Ok(time)
        })
    };
    let mut rows = [
        row("with 50,000 files in its layer", MANY),
        row("with none", "echo done; exec sleep 3600"),
    ];
    rows::measure("From SIGTERM to the end of a dyno", 7, &mut rows);
    Ok(())
}
