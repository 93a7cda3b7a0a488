//! boto3, django-storages, and Amazon's and Debian's command lines.

use std::path::Path;

use crate::scene::{Place, install};
use crate::{assert_well, script};

pub(crate) fn boto3(place: &Place, own: &Path) {
    let python = install::python("boto3", &["boto3==1.*"]);
    assert_well(place.client(&python, own).arg(script("boto3_suite.py")).current_dir(own));
}

pub(crate) fn django_storages(place: &Place, own: &Path) {
    let python = install::python("django", &["django==5.2.*", "django-storages[s3]==1.*"]);
    assert_well(place.client(&python, own).arg(script("django_suite.py")).current_dir(own));
}

pub(crate) fn aws(place: &Place, own: &Path) {
    let python = install::python("awscli", &["awscli==1.*"]);
    let mut sh = place.client(Path::new("sh"), own);
    sh.arg("-x").arg(script("aws_suite.sh")).env("PYTHON", python);
    assert_well(sh.current_dir(own));
}

pub(crate) fn s3cmd(place: &Place, own: &Path) {
    install::debian("s3cmd");
    let mut sh = place.client(Path::new("sh"), own);
    assert_well(sh.arg("-x").arg(script("s3cmd_suite.sh")).current_dir(own));
}
