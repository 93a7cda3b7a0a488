//! How an app finds its uploads in a bucket: the very lines for its framework.

use super::Framework;

/// Where the lines go, and the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// A file, or what else to do: `config/storage.yml`.
    pub place: &'static str,
    /// What to write there.
    pub lines: String,
}

/// What is set where, so that an app reads and writes its uploads below a prefix of its bucket's keys:
/// `media`. The bucket and its key come from config vars.
pub fn adopted(framework: Framework, prefix: &str) -> Vec<Setting> {
    let prefix = prefix.trim_matches('/');
    let all = match framework {
        Framework::Django => vec![
            ("requirements.txt", "django-storages[s3]".to_owned()),
            ("settings.py", django(prefix)),
        ],
        Framework::Flask | Framework::FastApi => {
            vec![
                ("requirements.txt", "boto3".to_owned()),
                ("where a file is saved", python(prefix)),
            ]
        }
        Framework::Rails => vec![
            ("Gemfile", "gem \"aws-sdk-s3\", require: false".to_owned()),
            ("config/storage.yml", RAILS.to_owned()),
            (
                "config/environments/production.rb",
                "config.active_storage.service = :amazon".to_owned(),
            ),
        ],
        Framework::Node | Framework::Next => vec![
            ("a terminal", "npm install multer-s3 @aws-sdk/client-s3".to_owned()),
            ("where multer is made", node(prefix)),
        ],
        Framework::Laravel => vec![
            ("a terminal", "composer require league/flysystem-aws-s3-v3".to_owned()),
            ("a terminal, with the values of heroku config", LARAVEL.to_owned()),
        ],
        Framework::Unknown => vec![("the app", unknown(prefix))],
    };
    all.into_iter().map(|(place, lines)| Setting { place, lines }).collect()
}

fn django(prefix: &str) -> String {
    format!(
        "STORAGES[\"default\"] = {{\n    \"BACKEND\": \"storages.backends.s3.S3Storage\",\n    \
         \"OPTIONS\": {{\n        \"bucket_name\": os.environ[\"S3_BUCKET\"],\n        \
         \"endpoint_url\": os.environ.get(\"S3_ENDPOINT_URL\"),\n        \
         \"region_name\": os.environ[\"AWS_REGION\"],\n        \
         \"signature_version\": \"s3v4\",\n        \"location\": \"{prefix}\",\n    }},\n}}"
    )
}

fn python(prefix: &str) -> String {
    format!(
        "s3 = boto3.client(\"s3\", endpoint_url=os.environ.get(\"S3_ENDPOINT_URL\"),\n                  \
         region_name=os.environ[\"AWS_REGION\"])\n\
         s3.upload_fileobj(file, os.environ[\"S3_BUCKET\"], \"{prefix}/\" + name)"
    )
}

const RAILS: &str = "amazon:\n  service: S3\n  access_key_id: <%= ENV[\"AWS_ACCESS_KEY_ID\"] %>\n  \
                     secret_access_key: <%= ENV[\"AWS_SECRET_ACCESS_KEY\"] %>\n  \
                     region: <%= ENV[\"AWS_REGION\"] %>\n  bucket: <%= ENV[\"S3_BUCKET\"] %>\n  \
                     endpoint: <%= ENV[\"S3_ENDPOINT_URL\"] %>\n  force_path_style: true";

fn node(prefix: &str) -> String {
    format!(
        "const s3 = new S3Client({{ endpoint: process.env.S3_ENDPOINT_URL, region: process.env.AWS_REGION,\n                          \
         forcePathStyle: true }});\n\
         multer({{ storage: multerS3({{ s3, bucket: process.env.S3_BUCKET,\n  \
         key: (request, file, done) => done(null, `{prefix}/${{file.originalname}}`) }}) }})"
    )
}

const LARAVEL: &str = "heroku config:set FILESYSTEM_DISK=s3 AWS_BUCKET=\"$S3_BUCKET\" \
                       AWS_DEFAULT_REGION=\"$AWS_REGION\" AWS_ENDPOINT=\"$S3_ENDPOINT_URL\" \
                       AWS_USE_PATH_STYLE_ENDPOINT=true";

fn unknown(prefix: &str) -> String {
    format!(
        "Its files are below {prefix}/ in the bucket S3_BUCKET, at S3_ENDPOINT_URL; any S3 client opens \
         it with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_framework_is_told_where_its_files_are() {
        for framework in [
            Framework::Django,
            Framework::Flask,
            Framework::FastApi,
            Framework::Rails,
            Framework::Next,
            Framework::Node,
            Framework::Laravel,
            Framework::Unknown,
        ] {
            let told: Vec<String> =
                adopted(framework, "media/").into_iter().map(|setting| setting.lines).collect();
            let told = told.join("\n");
            assert!(told.contains("S3_BUCKET"), "{framework:?}: {told}");
            assert!(told.contains("S3_ENDPOINT_URL"), "{framework:?}: {told}");
        }
        let django = &adopted(Framework::Django, "media/")[1];
        assert!(django.lines.contains("\"location\": \"media\""), "{}", django.lines);
    }
}
