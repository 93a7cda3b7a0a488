use super::*;

fn base() -> Base {
    Base::new("owl.localhost", "/shop/")
}

fn found(kind: Kind, media_type: &str, text: &str) -> Vec<String> {
    let show = |r: &Reference| format!("{:?} {:?} {}", r.trust, r.kind, r.url);
    references(kind, media_type, text, &base()).iter().map(show).collect()
}

#[test]
fn a_page_refers_to_what_a_browser_would_load() {
    let page = r#"<!DOCTYPE html><!-- <img src="/no.png"> --><title><img src=/no2.png></title>
      <LINK REL="Stylesheet" HREF='/static/a.css?v=1&amp;w=2'><link rel=canonical href=/elsewhere>
      <link rel="preload" as="font" href="f.woff2"><link rel=icon href=favicon.ico>
      <link rel="manifest" href="/site.webmanifest">
      <style>@import "b.css"; body { background: url( 'bg (1).png' ) }</style>
      <div style="background:url(&quot;inline.svg&quot;)" data-x='<img src="/no3.png">'>
      <img src=c.png srcset="c-1.png 1x, c,2.png 2x,c-3.png" alt="a > b">
      <video poster=p.jpg><source src=v.mp4></video>
      <svg><use xlink:href="/sprite.svg#owl"></use></svg>
      <a href="/about">x</a><a href="/no4" rel="nofollow">x</a><a href=doc.pdf>x</a>
      <a href="https://cdn.example/x">x</a>
      <script src="https://owl.localhost/js/main.js"></script>
      <script>let a = "<img src='/no5.png'>"; load("/js/late.js")</script>
      <script type="application/json">{"a": "/no6.js"}</script>
      <script type="importmap">{"imports": {"vue": "/js/vue.js", "x/": "/x/"}}</script>"#;
    let expected = [
        "Certain Style /shop/b.css",
        "Certain Image /shop/bg%20(1).png",
        "Certain Image /shop/c,2.png",
        "Certain Image /shop/c-1.png",
        "Certain Image /shop/c-3.png",
        "Certain Image /shop/c.png",
        "Certain Font /shop/f.woff2",
        "Certain Image /shop/favicon.ico",
        "Certain Image /shop/inline.svg",
        "Certain Image /shop/p.jpg",
        "Certain Other /shop/v.mp4",
        "Certain Image /sprite.svg",
        "Certain Manifest /site.webmanifest",
        "Certain Script /js/main.js",
        "Certain Script /js/vue.js",
        "Certain Style /static/a.css?v=1&w=2",
        "Guess Other /shop/doc.pdf",
        "Guess Page /about",
        "Guess Script /js/late.js",
    ];
    let mut found = found(Kind::Page, "text/html", page);
    found.retain(|line| line != "Guess Image /no5.png");
    found.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_base_moves_what_follows() {
    let page = r#"<base href="/v2/"><base href="/v3/"><img src="a.png"><img src="?b">"#;
    assert_eq!(
        found(Kind::Page, "text/html", page),
        ["Certain Image /v2/?b", "Certain Image /v2/a.png"]
    );
}

#[test]
fn a_style_sheet_refers_to_fonts_pictures_and_others() {
    let style = "/* url(no.png) */ @import url(x.css) screen; @IMPORT 'y.css';
      a{content:\"url(no2.png)\";background:URL(i\\(1\\).png)} b{my-url(no3.png)}
      @font-face{src:url(f.eot?#iefix) format(\"embedded-opentype\"),url(\"../f.woff2\")}
      c{background:url(data:image/png;base64,AA)}
      /*# sourceMappingURL=main.css.map */";
    assert_eq!(
        found(Kind::Style, "text/css", style),
        [
            "Certain Font /f.woff2",
            "Guess Font /shop/f.eot?",
            "Certain Image /shop/i(1).png",
            "Guess Map /shop/main.css.map",
            "Certain Style /shop/x.css",
            "Certain Style /shop/y.css",
        ]
    );
}

#[test]
fn the_chunks_of_webpacks_maps_are_found() {
    // webpack 4 as create-react-app has it, webpack 5, and styles.
    let four = r#"function u(e){return i.p+"static/js/"+({4:"cart"}[e]||e)+"."+{3:"7b2a91bc",4:"0c18d5c0"}[e]+".chunk.js"}i.p="/shop/""#;
    let found_in = |text: &str| {
        let mut found = found(Kind::Script, "text/javascript", text);
        found.retain(|line| line.starts_with("Certain"));
        found
    };
    assert_eq!(
        found_in(four),
        [
            "Certain Script /shop/static/js/3.7b2a91bc.chunk.js",
            "Certain Script /shop/static/js/cart.0c18d5c0.chunk.js",
        ]
    );
    let five = r#"t.u=e=>"static/js/"+(({179:"main",216:"cart"})[e]||e)+"."+({216:"aa00bb11",453:"cc22dd33"})[e]+".js",t.miniCssF=e=>"static/css/"+e+"."+{216:"ee44ff55"}[e]+".css";t.p="/""#;
    assert_eq!(
        found_in(five),
        [
            "Certain Style /static/css/216.ee44ff55.css",
            "Certain Script /static/js/453.cc22dd33.js",
            "Certain Script /static/js/cart.aa00bb11.js",
        ]
    );
    let beside = r#"throw new Error("Automatic publicPath is not supported in this browser");r.p=e+"../",r.u=e=>e+"."+{7:"aa00bb11"}[e]+".js""#;
    assert_eq!(found_in(beside), ["Certain Script /7.aa00bb11.js"]);
    let only = r#"t.u=e=>"add-book.eda2d5fe360578eb.js",t.p="/static/client/""#;
    assert_eq!(found_in(only), ["Certain Script /static/client/add-book.eda2d5fe360578eb.js"]);
    assert_eq!(found_in(r#"x({}[e]+".js");y(e+".js");z["a"]+".css""#), [""; 0]);
}

#[test]
fn what_vite_loads_later_is_found() {
    let script = r#"const d=["assets/Cart-BfVhq3Dk.js","assets/Cart-DiwrgTda.css"];import("./Cart-BfVhq3Dk.js");import{a}from"./vendor-C1x2aB93.js";
//# sourceMappingURL=index.js.map"#;
    let found = found(Kind::Script, "application/javascript", script);
    for line in [
        "Certain Script /shop/Cart-BfVhq3Dk.js",
        "Certain Script /shop/vendor-C1x2aB93.js",
        "Guess Script /assets/Cart-BfVhq3Dk.js",
        "Guess Map /shop/index.js.map",
    ] {
        assert!(found.contains(&line.to_owned()), "no {line} in {found:#?}");
    }
}

#[test]
fn lists_of_files_are_read() {
    let vite = r#"{"src/main.ts": {"file": "assets/m-BfVhq3Dk.js", "src": "src/main.ts",
        "css": ["assets/m-DiwrgTda.css"], "isEntry": true}}"#;
    let base = Base::new("owl.localhost", "/.vite/manifest.json");
    let urls: Vec<String> = references(Kind::Manifest, "application/json", vite, &base)
        .into_iter()
        .map(|reference| reference.url)
        .collect();
    assert_eq!(urls, ["/assets/m-BfVhq3Dk.js", "/assets/m-DiwrgTda.css"]);
    let react = r#"{"files": {"main.js": "/static/js/main.7b2a91bc.js", "index.html": "/index.html"},
        "entrypoints": ["static/js/main.7b2a91bc.js"]}"#;
    assert_eq!(
        found(Kind::Manifest, "application/json", react),
        [
            "Listed Script /shop/static/js/main.7b2a91bc.js",
            "Listed Script /static/js/main.7b2a91bc.js"
        ]
    );
}

#[test]
fn a_sitemap_names_pages_whatever_its_host() {
    let sitemap = "<urlset><url><loc> https://owl.example/a?x=1&amp;y=2 </loc></url>\
                   <url><loc>https://owl.example</loc></url></urlset>";
    assert_eq!(
        found(Kind::Sitemap, "text/xml", sitemap),
        ["Guess Page /", "Guess Page /a?x=1&y=2"]
    );
}

#[test]
fn what_a_page_needs_comes_before_the_next_page_and_bounds_hold() {
    let bounds = Bounds { pages: 2, assets: 3, depth: 1 };
    let mut frontier = Frontier::new("owl.localhost", &["/".to_owned()], bounds);
    let start = frontier.next_ask().unwrap();
    assert_eq!((start.url.as_str(), start.kind, start.depth), ("/", Kind::Page, 0));
    let page = r#"<a href="/a"></a><a href="/b"></a><img src="/1.png"><img src="/2.png">"#;
    frontier.learn(&start, references(Kind::Page, "text/html", page, &base()));
    let mut order = vec![];
    while let Some(ask) = frontier.next_ask() {
        frontier.learn(
            &ask,
            references(Kind::Page, "text/html", "<a href=/c><img src=/1.png>", &base()),
        );
        order.push(ask.url);
    }
    assert_eq!(order, ["/1.png", "/2.png", "/a"]);
    assert!(frontier.is_cut(), "/b was not asked for");
    assert_eq!(frontier.trust("/1.png"), Trust::Certain);
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,200}", pieces in proptest::collection::vec(
        proptest::sample::select(vec!["<", "<script>", "</script", "url(", "\"", "'", "{", "}[e]",
            "+\".js\"", "é", "/*", "&", "=", "<a href", "]", ")", "||e)", "\\", "<!--", ".p=", ","]), 0..30,
    )) {
        for text in [text, pieces.concat()] {
            for (kind, media_type) in [
                (Kind::Page, "text/html"), (Kind::Style, "text/css"), (Kind::Sitemap, "text/xml"),
                (Kind::Script, "text/javascript"), (Kind::Manifest, "application/json"),
            ] {
                for reference in references(kind, media_type, &text, &base()) {
                    assert!(reference.url.starts_with('/'));
                }
            }
        }
    }
}
