// multer-s3 on Express: what a form brings goes into the bucket as it comes. Lists and addresses are
// the SDK's, with which such an app has them, too.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { GetObjectCommand, PutObjectCommand, S3Client, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import express from 'express';
import multer from 'multer';
import multerS3 from 'multer-s3';

const { S3_BUCKET: Bucket, S3_ENDPOINT_URL: endpoint, AWS_REGION: region } = process.env;
const client = (more) => new S3Client({ endpoint, region, forcePathStyle: true, maxAttempts: 1, ...more });
const s3 = client();
const wrong = client({ credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: 'x' } });
const key = (request, file, done) => done(null, `media/${file.originalname}`);
const upload = (s3) => multer({
  storage: multerS3({ s3, bucket: Bucket, contentType: multerS3.AUTO_CONTENT_TYPE, key }),
}).single('cover');

const app = express();
app.post('/upload', upload(s3), (request, response) => response.json(request.file));
app.post('/wrong', upload(wrong), (request, response) => response.json(request.file));
app.get('/media/:name', async (request, response) => {
  const command = new GetObjectCommand({ Bucket, Key: `media/${request.params.name}` });
  response.redirect(await getSignedUrl(s3, command, { expiresIn: 60 }));
});
app.get('/many', async (request, response) => {
  let count = 0;
  for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix: 'many/' })) count += page.KeyCount;
  response.json(count);
});
app.use((error, request, response, next) => response.status(502).send(error.name));
const server = app.listen(0, '127.0.0.1');
await new Promise((done) => server.on('listening', done));
// This program makes gigabytes between requests, in one thread.
server.keepAliveTimeout = 600_000;
const at = `http://127.0.0.1:${server.address().port}`;
const send = (path, body, name) => {
  const form = new FormData();
  form.append('cover', new Blob([body]), name);
  return fetch(at + path, { method: 'POST', body: form });
};
const digest = (buffer) => createHash('sha256').update(buffer).digest('hex');

const picture = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), randomBytes(10_000)]);
const sent = await (await send('/upload', picture, 'ü b.png')).json();
assert.equal(sent.key, 'media/ü b.png');
const got = await fetch(`${at}/media/${encodeURIComponent('ü b.png')}`);
assert.equal(got.headers.get('content-type'), 'image/png');
assert.equal(digest(Buffer.from(await got.arrayBuffer())), digest(picture));

const film = Buffer.alloc(200 * 1024 * 1024, randomBytes(1024 * 1024));
assert.equal((await send('/upload', film, 'film.bin')).status, 200);
assert.equal(digest(Buffer.from(await (await fetch(`${at}/media/film.bin`)).arrayBuffer())), digest(film));

const refused = await send('/wrong', picture, 'wrong.png');
assert.deepEqual([refused.status, await refused.text()], [502, 'SignatureDoesNotMatch']);
assert.equal((await fetch(`${at}/media/wrong.png`)).status, 404);
assert.equal(await (await fetch(`${at}/many`)).json(), 10_000);

const Key = 'media/signed';
await s3.send(new PutObjectCommand({ Bucket, Key, Body: 'a picture' }));
const put = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key }), { expiresIn: 3600 });
const get = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key }), { expiresIn: 3600 });
const expired = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key }), { expiresIn: 1 });
await new Promise((done) => setTimeout(done, 2100));
assert.equal((await fetch(expired)).status, 403);
writeFileSync('links', `put ${put}\nget ${get}\nplain ${get.split('?')[0]}\nexpired ${expired}\n`);
server.close();
console.log('all is well');
process.exit(0);
