//! One that takes all processors: the others are told who slows them.

use super::stage::as_everybody_beside;

const SPIN: &str = "#!/bin/bash\nfor number in 1 2 3 4 5 6 7 8 9 10 11 12; do\n  \
    python3 -c 'while True: pass' &\ndone\nwait\n";

/// Serves, and has more to do beside that than its share of two processors is enough for.
const WORKS: &str = "for number in 1 2 3 4; do python3 -c 'while True: pass' & done; \
    exec python3 -m http.server --bind 0.0.0.0 $PORT";

#[test]
fn whoever_waits_for_a_processor_is_told_who_has_it() {
    as_everybody_beside(WORKS, SPIN, &[], |stage| {
        let lines = stage.light();
        stage.hears(lines, "State changed from starting to up");
        let words = ["heroku[web.1]", "Slow: waited", "the processor", "shelf/bomb.2 ("];
        stage.waits_for(lines, &words);
        stage.put_out();
        stage.is_gone();
    });
}
