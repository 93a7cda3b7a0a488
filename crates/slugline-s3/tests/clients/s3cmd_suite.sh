# s3cmd, Debian's, in a directory of the test's own. It signs addresses for reading alone, in the older
# way.
set -eu
host="${S3_ENDPOINT_URL#http://}"
s3cmd="s3cmd --config=/dev/null --no-ssl --host=$host --host-bucket=$host --region=$AWS_REGION \
  --access_key=$AWS_ACCESS_KEY_ID --no-progress"
with="--secret_key=$AWS_SECRET_ACCESS_KEY"
b="s3://$S3_BUCKET"
printf 'a picture' > small
head -c 209715200 /dev/urandom > large
$s3cmd $with put small "$b/cmd/small.png" > log
$s3cmd $with put large "$b/cmd/large" > log
$s3cmd $with get "$b/cmd/large" back > log
cmp large back
mkdir -p tree/a && for n in $(seq 1 40); do echo "$n" > "tree/a/$n.txt"; done
$s3cmd $with sync tree/ "$b/cmd/tree/" > log
test "$($s3cmd $with ls --recursive "$b/cmd/tree/" | wc -l)" = 40
$s3cmd $with mv "$b/cmd/small.png" "$b/cmd/moved.png" > log
$s3cmd $with info "$b/cmd/moved.png" > info
grep -q 'File size: 9' info
$s3cmd $with setacl --acl-public "$b/cmd/moved.png" > log
test "$(curl -fsS --noproxy '*' "$S3_ENDPOINT_URL/$S3_BUCKET/cmd/moved.png")" = 'a picture'
$s3cmd $with setacl --acl-private "$b/cmd/moved.png" > log
test "$(curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' "$S3_ENDPOINT_URL/$S3_BUCKET/cmd/moved.png")" = 403
if $s3cmd --secret_key=wrong ls "$b" 2> wrong; then exit 1; fi
grep -q SignatureDoesNotMatch wrong
test "$($s3cmd $with ls --recursive "$b/many/" | wc -l)" = 10000
printf 'a picture' | $s3cmd $with put - "$b/signed/s3cmd" > log
get=$($s3cmd $with signurl "$b/signed/s3cmd" +3600)
test "$(curl -fsS --noproxy '*' "$get")" = 'a picture'
old=$($s3cmd $with signurl "$b/signed/s3cmd" "$(($(date +%s) - 5))")
test "$(curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' "$old")" = 403
printf 'get %s\nplain %s\nexpired %s\n' "$get" "${get%%\?*}" "$old" > links
$s3cmd $with del --recursive --force "$b/cmd/" > log
test -z "$($s3cmd $with ls --recursive "$b/cmd/")"
echo 'all is well'
