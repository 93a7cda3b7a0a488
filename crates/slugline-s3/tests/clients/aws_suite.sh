# The AWS command line, by pip, in a directory of the test's own. It signs addresses for reading alone.
set -eu
aws="${PYTHON%/*}/aws --endpoint-url $S3_ENDPOINT_URL"
b="s3://$S3_BUCKET"
printf 'a picture' > small.png
head -c 209715200 /dev/urandom > large
$aws s3 cp --only-show-errors small.png "$b/aws/small.png"
$aws s3 cp --only-show-errors large "$b/aws/large"
$aws s3 cp --only-show-errors "$b/aws/large" back
cmp large back
mkdir -p tree/a && for n in $(seq 1 40); do echo "$n" > "tree/a/$n.txt"; done
$aws s3 sync --only-show-errors tree "$b/aws/tree"
$aws s3 sync --only-show-errors "$b/aws/tree" copy
diff -r tree copy
test "$($aws s3 ls --recursive "$b/aws/tree/" | wc -l)" = 40
$aws s3 mv --only-show-errors "$b/aws/small.png" "$b/aws/moved.png"
test "$($aws s3api head-object --bucket "$S3_BUCKET" --key aws/moved.png --query ContentType --output text)" = image/png
url=$($aws s3 presign "$b/aws/moved.png" --expires-in 60)
test "$(curl -fsS --noproxy '*' "$url")" = 'a picture'
old=$($aws s3 presign "$b/aws/moved.png" --expires-in 1); sleep 2.1
test "$(curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' "$old")" = 403
# Ceph's gives no message with the code, and the client then has a failure of its own.
if AWS_SECRET_ACCESS_KEY=wrong $aws --debug s3 ls "$b" 2> wrong; then exit 1; fi
grep -q SignatureDoesNotMatch wrong
test "$($aws s3 ls "$b/many/" | wc -l)" = 10000
test "$($aws s3api list-objects --bucket "$S3_BUCKET" --prefix many/ --query 'length(Contents)' --output json)" = 10000
$aws s3 cp --only-show-errors "$b/aws/moved.png" "$b/signed/aws b.png"
get=$($aws s3 presign "$b/signed/aws b.png" --expires-in 3600)
printf 'get %s\nplain %s\nexpired %s\n' "$get" "${get%%\?*}" "$old" > links
$aws s3 rm --only-show-errors --recursive "$b/aws/"
test -z "$($aws s3 ls --recursive "$b/aws/" || true)"
echo 'all is well'
