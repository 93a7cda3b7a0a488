//! `slugline bake`: what a dyno has made is in the next release's slug.

use serde_json::json;

use crate::WEB;
use crate::stage::Stage;
use crate::support::account::Account;

const OUT: &str = "/static/CACHE/css/out.css";

#[test]
fn a_baked_file_is_there_after_every_restart() {
    for account in Account::all() {
        let stage = Stage::new(&account);
        let mut server = stage.serve();
        stage.run(&server, "compressor", &json!({ "web": WEB }));
        assert_eq!(stage.scene.get(OUT).status, 404, "nobody has asked for the page");
        stage.use_it();
        assert_eq!(stage.scene.get(OUT).text(), "body{color:#123}");
        let said = stage.slugline(&["bake", "web.1", "static/CACHE", "-a", "owl"]).unwrap();
        for part in [
            "the current slug with 1 file of web.1",
            "This is a stopgap",
            "    python manage.py compress",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let release = server.api().get("/apps/owl/releases/current");
        assert_eq!(release["description"], "Bake 1 file of web.1 (stopgap)", "{release}");
        let version = release["version"].as_u64().unwrap();
        Stage::wait_until_up(&server, version);
        for _ in 0..2 {
            assert_eq!(stage.scene.get(OUT).text(), "body{color:#123}", "as {account}");
            let live = server.api().get("/apps/owl/dynos/web.1/files");
            assert_eq!(live["files"], 0, "nothing of it is in the layer: {live}");
            Stage::receipt_of_a_restart(&server);
        }
        stage.end(&mut server);
    }
}

#[test]
fn what_cannot_be_baked_releases_nothing_and_is_told_in_five_parts() {
    for account in Account::all() {
        let stage = Stage::new(&account);
        let mut server = stage.serve();
        stage.run(&server, "uploads", &json!({ "web": WEB }));
        let before = server.api().get("/apps/owl/releases");
        for (path, why) in [
            ("media", "web.1 has written nothing at /app/media"),
            ("/etc/passwd", "is not below /app"),
            ("../../etc", "is not below /app"),
            ("tmp/x", "what no slug holds"),
        ] {
            let told = stage.slugline(&["bake", "web.1", path, "-a", "owl"]).unwrap_err();
            for part in ["cannot bake files of web.1", why, "Next: slugline bake", "Nothing was"] {
                assert!(told.contains(part), "{part}: {told}");
            }
        }
        assert_eq!(server.api().get("/apps/owl/releases"), before);
        stage.end(&mut server);
    }
}
