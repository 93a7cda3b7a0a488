//! A file that one dyno wrote and another one is asked for.

use std::time::Duration;

use serde_json::json;

use super::shop::{ask, shop};
use super::support::account::Account;
use super::support::server::Server;
use super::support::wait_for;

#[test]
fn a_file_on_another_dyno_is_told_with_both_names() {
    for account in Account::all() {
        let scene = shop(&account);
        // Only web.1 takes the upload; each dyno serves what it has.
        scene.write(
            "Procfile",
            "web: if [ $DYNO = web.1 ]; then mkdir public/media; echo owl > public/media/owl.png; \
             fi; exec python3 shop.py\n",
        );
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        api.json("PATCH", "/apps/shop/formation/web", &json!({ "quantity": 2 }));
        wait_for("two web dynos", Duration::from_mins(1), || {
            (api.names_if_up("shop")?.len() == 2).then_some(())
        });
        let lines = server.lines();
        let answers: Vec<u16> =
            (0..40).map(|_| ask(&scene, "GET", "/media/owl.png").status).collect();
        assert!(answers.contains(&200) && answers.contains(&404), "{answers:?}");
        let words = [
            "heroku[web.2]: /media/owl.png is not here: web.1 wrote /app/public/media/owl.png. A \
             dyno's disk is its own",
        ];
        server.wait_for_line(lines, &words);
        for _ in 0..20 {
            ask(&scene, "GET", "/media/none.png");
        }
        let output = server.output();
        let told = output.lines().filter(|line| line.contains("is not here: ")).count();
        assert_eq!(told, 1, "{output}");
    }
}
