use super::*;

fn answer(status: u16, media_type: &str, hash: &str) -> Answer {
    Answer { status, media_type: media_type.into(), hash: hash.into(), bytes: 3 }
}

fn asset(url: &str, first: Answer, second: Answer) -> Asset {
    let (kind, from) = (Kind::of_path(url), "/".to_owned());
    Asset { url: url.into(), kind, trust: Trust::Certain, from, first, second }
}

fn css(hash: &str) -> Answer {
    answer(200, "text/css", hash)
}

fn none() -> Answer {
    answer(404, "text/html", "n")
}

fn start(status: u16) -> Vec<PageSeen> {
    vec![PageSeen { url: "/".into(), status, first: true }]
}

fn verdict(framework: Framework, assets: Vec<Asset>) -> Verdict {
    let path = "/app/static/CACHE/css/out.css".to_owned();
    let written = vec![Written { path, hash: Some("a".to_owned()) }];
    judge(&Evidence { pages: start(200), assets, framework, written, ..Evidence::default() })
}

const DJANGO: Framework = Framework::Django;
const NODE: Framework = Framework::Node;

#[test]
fn all_is_well_where_all_is_there_twice() {
    let assets = (0..37).map(|n| asset(&format!("/{n}.css"), css("a"), css("a"))).collect();
    let verdict = verdict(DJANGO, assets);
    assert!(verdict.is_good());
    assert_eq!(verdict.lines(), ["All 37 assets of 1 page are in the slug."]);
}

#[test]
fn each_way_of_losing_a_file_has_its_words_and_its_line() {
    let says = |framework, asset: Asset| {
        let verdict = verdict(framework, vec![asset]);
        assert_eq!(verdict.headline(), "Of 1 asset of 1 page, 1 cannot be relied on.");
        verdict.findings[0].text.clone()
    };
    assert_eq!(
        says(DJANGO, asset("/static/CACHE/css/out.css", css("a"), none())),
        "`/static/CACHE/css/out.css` is generated, as /app/static/CACHE/css/out.css, when first \
         asked for and vanishes at restart: add `python manage.py compress` to bin/post_compile."
    );
    assert_eq!(
        says(DJANGO, asset("/static/main.css", none(), none())),
        "`/static/main.css` is answered 404 (`/` refers to it): it is not in the slug; add \
         `python manage.py collectstatic --noinput` to bin/post_compile."
    );
    assert_eq!(
        says(
            NODE,
            asset("/main.css", answer(200, "text/html", "p"), answer(200, "text/html", "p"))
        ),
        "`/main.css` is answered with a page (200, text/html) in place of a style sheet (`/` \
         refers to it): it is not in the slug, and a page that is answered for every path hides \
         that; add `npm run build` to bin/post_compile."
    );
    assert_eq!(
        says(Framework::Unknown, asset("/main.css", answer(200, "text/plain", "p"), css("p"))),
        "`/main.css` is answered as text/plain (`/` refers to it), and browsers refuse a style \
         sheet of that type: send the right Content-Type."
    );
    assert_eq!(
        says(Framework::Unknown, asset("/main.css", css("a"), css("b"))),
        "`/main.css` has another content after each restart, so that two dynos answer differently: \
         make it in the build (bin/post_compile), so that it is in the slug."
    );
    let png = answer(200, "image/png", "a");
    assert_eq!(
        says(DJANGO, asset("/media/a.png", png, none())),
        concat!(
            "`/media/a.png` is generated when first asked for and vanishes at restart: move it to S3: ",
            "`heroku addons:create s3`, and in the app: `STORAGES[\"default\"] = {\"BACKEND\": ",
            "\"storages.backends.s3.S3Storage\"}`."
        )
    );
}

#[test]
fn a_file_that_becomes_a_page_after_the_restart_vanishes() {
    let verdict = verdict(NODE, vec![asset("/a.css", css("a"), answer(200, "text/html", "p"))]);
    assert_eq!(verdict.findings[0].problem, Problem::Vanishes);
}

#[test]
fn what_each_dyno_makes_as_it_boots_is_not_in_the_slug() {
    let assets =
        vec![asset("/js/main.js", css("a"), css("a")), asset("/js/x.js", css("b"), css("b"))];
    let made = |path: &str, hash: &str| Written { path: path.into(), hash: Some(hash.into()) };
    let assets = assets.into_iter().map(|asset| Asset { kind: Kind::Other, ..asset }).collect();
    let booted = vec![made("/app/dist/js/main.js", "a"), made("/app/dist/js/x.js", "of another")];
    let verdict = judge(&Evidence { pages: start(200), assets, booted, ..Evidence::default() });
    let texts: Vec<&str> = verdict.findings.iter().map(|found| found.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "`/js/main.js` is not in the slug: each dyno makes /app/dist/js/main.js anew as it boots; \
          add `npm run build` to bin/post_compile."
        ]
    );
}

#[test]
fn guesses_count_once_they_were_served_and_lists_once_one_of_theirs_was() {
    let with = |trust, from: &str, asset: Asset| Asset { trust, from: from.into(), ..asset };
    let verdict = verdict(
        NODE,
        vec![
            with(Trust::Guess, "/a.js", asset("/guess.css", none(), none())),
            with(Trust::Guess, "/a.js", asset("/page.png", answer(200, "text/html", "p"), none())),
            with(Trust::Guess, "/a.js", asset("/made.css", css("a"), none())),
            with(Trust::Listed, "/wrong.json", asset("/x/a.css", none(), none())),
            with(Trust::Listed, "/right.json", asset("/b.css", css("b"), css("b"))),
            with(Trust::Listed, "/right.json", asset("/c.css", none(), none())),
            asset("/private.css", answer(403, "", ""), none()),
        ],
    );
    let found: Vec<_> = verdict.findings.iter().map(|f| (f.url.as_str(), f.problem)).collect();
    assert_eq!(found, [("/made.css", Problem::Vanishes), ("/c.css", Problem::Missing)]);
    assert_eq!(verdict.assets, 3);
    assert_eq!(verdict.notes, ["1 asset lies elsewhere or needs a login: not looked at"]);
}

#[test]
fn a_page_that_fails_is_said_and_one_behind_a_login_is_noted() {
    let of = |status| judge(&Evidence { pages: start(status), ..Evidence::default() });
    assert_eq!(
        of(500).lines(),
        [
            "Of 0 pages not all could be seen.",
            "The page `/` answers 500: what it needs could not be seen."
        ]
    );
    assert!(of(0).findings[0].text.contains("does not answer"));
    assert!(of(404).is_good() && of(404).notes[0].contains("`/` answers 404"));
    assert_eq!(of(200).lines(), ["1 page and no asset: there is nothing to lose."]);
}

#[test]
fn what_open_pages_will_miss_is_noted() {
    let live = |url: &str, new| LiveAsset { url: url.into(), live: css("a"), new };
    let live = vec![
        live("/main.3f2a91bc.css", none()),
        live("/base.0c18d5c0.css", css("b")),
        live("/plain.css", css("b")),
    ];
    let verdict = judge(&Evidence { pages: start(200), live, ..Evidence::default() });
    assert_eq!(
        verdict.notes,
        [
            "1 asset of the pages that are open now is not in this release. The router can answer \
             for them: slugline assets bridge",
            "`/base.0c18d5c0.css` has another content than in the release that serves now, under a \
             name with a hash: browsers may keep the old one",
        ]
    );
}

#[test]
fn the_message_says_all_but_the_state() {
    let verdict = verdict(DJANGO, vec![asset("/static/CACHE/css/out.css", css("a"), none())]);
    let message = verdict.message();
    assert_eq!(message.silent_parts(), ["state"]);
    assert!(message.gutter().contains(" !     `/static/CACHE/css/out.css` is generated"));
}
