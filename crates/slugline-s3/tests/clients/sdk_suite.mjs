// The AWS SDK for JavaScript, version 3, and multer-s3 on Express.

import assert from 'node:assert/strict';
import { randomBytes, createHash } from 'node:crypto';
import {
  S3Client, PutObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command,
  DeleteObjectsCommand, paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import express from 'express';
import multer from 'multer';
import multerS3 from 'multer-s3';

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

const names = Array.from({ length: 1500 }, (_, n) => `js/many/${String(n).padStart(5, '0')}`);
for (let at = 0; at < names.length; at += 50) {
  await Promise.all(names.slice(at, at + 50).map((Key) => s3.send(new PutObjectCommand({ Bucket, Key, Body: '.' }))));
}
const listed = [];
for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix: 'js/many/' })) {
  listed.push(...page.Contents.map((entry) => entry.Key));
}
assert.deepEqual(listed, names);
for (let at = 0; at < names.length; at += 1000) {
  const Objects = names.slice(at, at + 1000).map((Key) => ({ Key }));
  await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
}
const left = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'js/many/' }));
assert.equal(left.KeyCount, 0);

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

const app = express();
const upload = multer({ storage: multerS3({ s3, bucket: Bucket, key: (request, file, done) => done(null, `media/${file.originalname}`) }) });
app.post('/upload', upload.single('cover'), (request, response) => response.json(request.file));
const server = app.listen(0, '127.0.0.1');
await new Promise((done) => server.on('listening', done));
const form = new FormData();
form.append('cover', new Blob([large.subarray(0, 12 * 1024 * 1024)]), 'cover.png');
const answer = await fetch(`http://127.0.0.1:${server.address().port}/upload`, { method: 'POST', body: form });
const file = await answer.json();
assert.equal(file.key, 'media/cover.png');
const stored = await bytes(await s3.send(new GetObjectCommand({ Bucket, Key: file.key })));
assert.equal(digest(stored), digest(large.subarray(0, 12 * 1024 * 1024)));
server.close();
console.log('all is well');
process.exit(0);
