//! Which layer of an image a path of a slug belongs to, so that a release which changes the app
//! alone changes one small layer.

use crate::parts::SHELVES;

/// A layer of a slug in an image, in the order in which they lie on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerClass {
    /// What buildpacks put below `.heroku`: Python, Node.js, and what else runs code.
    Runtime,
    /// Packages: `site-packages`, `node_modules`, gems.
    Dependencies,
    /// Everything else: what the app's own people write.
    App,
}

impl LayerClass {
    /// All of them, the lowest first.
    pub const ALL: [Self; 3] = [Self::Runtime, Self::Dependencies, Self::App];

    /// For people: what the layer holds.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Runtime => "runtime",
            Self::Dependencies => "dependencies",
            Self::App => "app",
        }
    }
}

/// The layer of a path below `/app`. What lies in a folder of packages is of the dependencies
/// wherever the folder is, in a runtime too.
pub fn layer_of(path: &[u8]) -> LayerClass {
    let mut parents = path.split(|byte| *byte == b'/').rev().skip(1);
    if parents.any(|name| SHELVES.iter().any(|shelf| shelf.as_bytes() == name)) {
        return LayerClass::Dependencies;
    }
    // What lies in `.heroku` itself are notes of the build, which change with it.
    match path.strip_prefix(b".heroku/") {
        Some(below) if below.contains(&b'/') => LayerClass::Runtime,
        _ => LayerClass::App,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_of_the_layer_that_changes_as_seldom_as_it_does() {
        for (path, layer) in [
            (".heroku/python/bin/python3", LayerClass::Runtime),
            (".heroku/python/lib/python3.12/os.py", LayerClass::Runtime),
            (".heroku/vendor/node/bin/node", LayerClass::Runtime),
            (
                ".heroku/python/lib/python3.12/site-packages/django/urls.py",
                LayerClass::Dependencies,
            ),
            (".heroku/node/lib/node_modules/npm/index.js", LayerClass::Dependencies),
            ("client/node_modules/react/index.js", LayerClass::Dependencies),
            ("vendor/ruby/gems/rack/rack.rb", LayerClass::Dependencies),
            (".heroku/collectstatic_disabled", LayerClass::App),
            (".heroku", LayerClass::App),
            ("node_modules", LayerClass::App),
            ("staticfiles/main.js", LayerClass::App),
            ("Procfile", LayerClass::App),
        ] {
            assert_eq!(layer_of(path.as_bytes()), layer, "{path}");
        }
    }
}
