// The AWS SDK for JavaScript, version 3.

import assert from 'node:assert/strict';
import { randomBytes, createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import {
  S3Client, PutObjectCommand, GetObjectCommand, HeadObjectCommand, DeleteObjectsCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

const { S3_BUCKET: Bucket, S3_ENDPOINT_URL: endpoint, AWS_REGION: region } = process.env;
const client = (more) => new S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1, ...more });
const s3 = client();
const bytes = async (output) => Buffer.from(await output.Body.transformToByteArray());

const small = Buffer.from('a picture');
await s3.send(new PutObjectCommand({ Bucket, Key: 'js/ü b', Body: small, ContentType: 'image/png', Metadata: { of: 'book' } }));
const got = await s3.send(new GetObjectCommand({ Bucket, Key: 'js/ü b' }));
assert.deepEqual(await bytes(got), small);
assert.equal(got.ContentType, 'image/png');
assert.equal(got.Metadata.of, 'book');

const large = Buffer.alloc(200 * 1024 * 1024, randomBytes(1024 * 1024));
await new Upload({ client: s3, params: { Bucket, Key: 'js/large', Body: large }, partSize: 16 * 1024 * 1024, queueSize: 4 }).done();
const back = await bytes(await s3.send(new GetObjectCommand({ Bucket, Key: 'js/large' })));
const digest = (buffer) => createHash('sha256').update(buffer).digest('hex');
assert.equal(digest(back), digest(large));

const list = async (Prefix) => {
  const listed = [];
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix })) {
    listed.push(...(page.Contents ?? []).map((entry) => entry.Key));
  }
  return listed;
};
assert.deepEqual(await list('many/'), Array.from({ length: 10_000 }, (_, n) => `many/${String(n).padStart(5, '0')}`));
const names = Array.from({ length: 60 }, (_, n) => `js/few/${n}`);
await Promise.all(names.map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: '.' }))));
assert.equal((await list('js/few/')).length, 60);
await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: names.map((Key) => ({ Key })) } }));
assert.deepEqual(await list('js/few/'), []);

const put = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'js/signed' }), { expiresIn: 60 });
assert.equal((await fetch(put, { method: 'PUT', body: 'by a link' })).status, 200);
const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'js/signed' }), { expiresIn: 60 });
assert.equal(await (await fetch(url)).text(), 'by a link');
const old = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'js/signed' }), { expiresIn: 1 });
await new Promise((done) => setTimeout(done, 2100));
assert.equal((await fetch(old)).status, 403);
const wrong = client({ credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: 'x' } });
await assert.rejects(wrong.send(new GetObjectCommand({ Bucket, Key: 'js/signed' })), { name: 'SignatureDoesNotMatch' });
await assert.rejects(s3.send(new HeadObjectCommand({ Bucket, Key: 'js/none' })), { name: 'NotFound' });

writeFileSync('links', [
  ['put', await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: 'js/signed' }), { expiresIn: 3600 })],
  ['get', await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: 'js/signed' }), { expiresIn: 3600 })],
  ['plain', url.split('?')[0]],
  ['expired', old],
].map((line) => line.join(' ') + '\n').join(''));
console.log('all is well');
process.exit(0);
