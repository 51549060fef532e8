// What a project decided about its images: storage, retention with its preview, immutable tags, webhooks with their log.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

const PROJECT = 'flow-rules';
const PASSWORD = 'correct horse battery';
const digestOf = (text) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const basic = ({ user, password }) => `Basic ${btoa(`${user}:${password}`)}`;
const ensure = (api, ...what) => api(...what).catch(() => undefined);

/** A small image of its own for each text. */
async function push(url, who, repository, tag, text) {
  const headers = { Authorization: basic(who) };
  const config = JSON.stringify({ os: 'linux', architecture: 'amd64', config: { Labels: { text } }, rootfs: { type: 'layers', diff_ids: [] } });
  const started = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers });
  const at = new URL(started.headers.get('Location'), url);
  at.searchParams.set('digest', digestOf(config));
  const stored = await fetch(at, { method: 'PUT', body: config, headers });
  if (!stored.ok) {
    return stored;
  }
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: type,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
    layers: [],
  });
  return fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'PUT', body: manifest, headers: { ...headers, 'Content-Type': type } });
}

/** The project as it is before a flow: three images of one repository, no rules, no webhooks. */
async function prepare(api, url, admin) {
  await ensure(api, 'POST', '/api/v1/projects', { name: PROJECT });
  const base = `/api/v1/projects/${PROJECT}`;
  await api('PUT', `${base}/image-policy`, {});
  await api('PUT', `${base}/quota`, { quota_bytes: null });
  for (const hook of (await api('GET', `${base}/webhooks`)).items) {
    await api('DELETE', `${base}/webhooks/${hook.id}`);
  }
  for (const tag of ['old', 'newer', 'newest']) {
    assert.equal((await push(url, admin, `${PROJECT}/app`, tag, tag)).status, 201);
  }
  await push(url, admin, `${PROJECT}/tools/lint`, 'v1', 'lint');
  return base;
}

async function member(api, role) {
  const user = `rules-${role}`;
  await ensure(api, 'POST', '/api/v1/users', { name: user, password: PASSWORD });
  await api('PUT', `/api/v1/projects/${PROJECT}/members/${user}`, { role });
  return { user, password: PASSWORD };
}

const page400 = async (page, accessible, shot, name) => {
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} fits 400 px`);
  await accessible(page);
  await shot(page, name);
};

const rulesAt = (url, tab) => `${url}/ui/p/${PROJECT}/image-rules?tab=${tab}`;
const menu = async (page, name, item) => {
  await page.getByRole('button', { name: `Actions for ${name}` }).click();
  await page.getByRole('menuitem', { name: item }).click();
};

export const flows = {
  'an administrator limits the storage; a push that does not fit is refused': async ({ page, newPage, url, api, admin, shot, accessible }) => {
    await prepare(api, url, admin);
    await page.goto(`${url}/ui/p/${PROJECT}/images`);
    await page.getByRole('link', { name: 'Image rules' }).click();
    await page.getByText('used, without a limit').waitFor();
    await page.getByRole('button', { name: 'Change the limit' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('A limit of its own').click();
    await dialog.getByLabel('At most').fill('0.001');
    await dialog.getByLabel('Unit').click();
    await page.getByTitle('MiB').click();
    await accessible(page);
    await shot(page, 'quota-dialog');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText(/of 1.0 KiB used/).waitFor();
    await accessible(page);
    await shot(page, 'quota');
    assert.equal((await push(url, admin, `${PROJECT}/app`, 'more', 'x'.repeat(2000))).status, 403);

    // A maintainer sees it and cannot change it.
    const guest = await newPage({ ...(await member(api, 'maintainer')), width: 400, dark: true, locale: 'zh-TW' });
    await guest.goto(rulesAt(url, 'quota'));
    await guest.getByText('／1.0 KiB 已使用').waitFor();
    assert.equal(await guest.getByRole('button', { name: '變更上限' }).count(), 0);
    await page400(guest, accessible, shot, 'quota-400-zh');
    await api('PUT', `/api/v1/projects/${PROJECT}/quota`, { quota_bytes: null });
  },

  'a maintainer makes retention rules, previews them, and applies them': async ({ newPage, url, api, admin, shot, accessible }) => {
    const base = await prepare(api, url, admin);
    const page = await newPage(await member(api, 'maintainer'));
    await page.goto(rulesAt(url, 'retention'));
    await page.getByText('No rules: all tags stay.').waitFor();
    await page.getByRole('button', { name: 'New rule' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Repositories').fill('app');
    await dialog.getByLabel('N', { exact: true }).fill('2');
    await accessible(page);
    await shot(page, 'retention-rule');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('cell', { name: 'the latest 2 pushed' }).waitFor();

    await page.getByRole('button', { name: 'Change when' }).click();
    await dialog.getByLabel('Schedule').fill('every day');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('expected minute, hour').first().waitFor();
    await dialog.getByLabel('Schedule').fill('30 3 * * *');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('30 3 * * *').waitFor();

    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByText('1 would go, 2 would stay').first().waitFor();
    const drawer = page.getByRole('dialog');
    await drawer.getByRole('row', { name: /old goes no rule keeps it/ }).waitFor();
    await drawer.getByRole('row', { name: /newest stays among the latest 2 pushed/ }).waitFor();
    await accessible(page);
    await shot(page, 'retention-preview');
    assert.equal((await api('GET', `${base}/repositories/app/tags`)).items.length, 3, 'a preview removes nothing');

    const chinese = await newPage({ ...(await member(api, 'guest')), locale: 'zh-CN', width: 400, dark: true });
    await chinese.goto(page.url());
    await chinese.getByText('没有规则保留它').first().waitFor();
    await page400(chinese, accessible, shot, 'retention-preview-400-zh');
    await chinese.goto(rulesAt(url, 'retention'));
    await chinese.getByText('将删除 1 个，保留 2 个').waitFor();
    assert.equal(await chinese.getByRole('button', { name: '预览' }).count(), 0, 'a guest cannot');
    await page400(chinese, accessible, shot, 'retention-400-zh');

    await drawer.getByRole('button', { name: 'Close' }).click();
    await drawer.waitFor({ state: 'detached' });
    await accessible(page);
    await shot(page, 'retention');
    await page.getByRole('button', { name: 'Apply now' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Apply now' }).click();
    await page.getByText('1 removed, 2 stayed').first().waitFor();
    assert.deepEqual((await api('GET', `${base}/repositories/app/tags`)).items.map((i) => i.tag).sort(), ['newer', 'newest']);
  },

  'an immutable tag cannot be pushed again until its rule goes': async ({ newPage, url, api, admin, shot, accessible }) => {
    await prepare(api, url, admin);
    const page = await newPage(await member(api, 'maintainer'));
    await page.goto(rulesAt(url, 'immutable'));
    await page.getByRole('button', { name: 'New rule' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Tags').fill('v*');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('**:v*').waitFor();
    await accessible(page);
    await shot(page, 'immutable');
    assert.equal((await push(url, admin, `${PROJECT}/tools/lint`, 'v1', 'other')).status, 409);
    await menu(page, 'Rule 1', 'Change');
    await dialog.getByLabel('Repositories').fill('tools/*');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('tools/*:v*').waitFor();
    await menu(page, 'Rule 1', 'Delete');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('tools/*:v*').waitFor({ state: 'detached' });
    assert.equal((await push(url, admin, `${PROJECT}/tools/lint`, 'v1', 'other')).status, 201);
  },

  'a webhook is made, tested, told of a push, and asked to send again': async ({ newPage, url, api, admin, shot, accessible }) => {
    await prepare(api, url, admin);
    const heard = [];
    let status = 200;
    const receiver = createServer((req, res) => {
      const parts = [];
      req.on('data', (d) => parts.push(d));
      req.on('end', () => {
        heard.push({ headers: req.headers, body: JSON.parse(Buffer.concat(parts).toString()) });
        res.writeHead(status).end('thanks');
      });
    });
    await new Promise((done) => receiver.listen(0, '127.0.0.1', done));
    try {
      const page = await newPage(await member(api, 'maintainer'));
      await page.goto(rulesAt(url, 'webhooks'));
      await page.getByText('No webhooks yet.').waitFor();
      await page.getByRole('button', { name: 'New webhook' }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name').fill('ci');
      await dialog.getByLabel('Address').fill(`http://127.0.0.1:${receiver.address().port}/hook#part`);
      await dialog.getByLabel('Deleted').check();
      await dialog.getByLabel('Authorization header').fill('Bearer not-a-real-one');
      await dialog.getByLabel('Key to sign with').fill('not a real key');
      await accessible(page);
      await shot(page, 'webhook-dialog');
      await dialog.getByRole('button', { name: 'Create' }).click();
      await dialog.getByText('what stands behind # is never sent').waitFor();
      await dialog.getByLabel('Address').fill(`http://127.0.0.1:${receiver.address().port}/hook`);
      await dialog.getByRole('button', { name: 'Create' }).click();
      await dialog.waitFor({ state: 'detached' });

      await menu(page, 'ci', 'Send a test');
      const drawer = page.getByRole('dialog');
      await drawer.getByRole('row', { name: /Test sent 200/ }).waitFor();
      assert.equal(heard[0].headers.authorization, 'Bearer not-a-real-one');
      assert.ok(heard[0].headers['x-strata-signature']);
      status = 500;
      await push(url, admin, `${PROJECT}/app`, 'told', 'told');
      await page.reload(); // the address shows the same log
      await drawer.getByRole('row', { name: /Pushed waiting/ }).waitFor();
      status = 200;
      await drawer.getByRole('row', { name: /Pushed sent 200/ }).waitFor();
      await drawer.getByRole('row', { name: /Pushed sent 200/ }).getByRole('button', { name: /Expand/ }).click();
      await drawer.getByText('"repo_full_name": "flow-rules/app"').waitFor();
      await accessible(page);
      await shot(page, 'webhook-log');
      const before = heard.length;
      await drawer.getByRole('row', { name: /Pushed sent 200/ }).first().getByRole('button', { name: 'Send again' }).click();
      await drawer.getByRole('row', { name: /Pushed sent 200/ }).nth(1).waitFor();
      assert.ok(heard.length > before);
      assert.equal(heard.at(-1).headers['x-request-id'], heard.at(-2).headers['x-request-id']);

      const small = await newPage({ ...(await member(api, 'maintainer')), locale: 'zh-TW', width: 400, dark: true });
      await small.goto(page.url());
      await small.getByText('已送出 200').first().waitFor();
      await page400(small, accessible, shot, 'webhook-log-400-zh');
      await small.goto(rulesAt(url, 'webhooks'));
      await small.getByText('127.0.0.1').waitFor();
      await page400(small, accessible, shot, 'webhooks-400-zh');
      const guest = await newPage(await member(api, 'guest'));
      await guest.goto(rulesAt(url, 'webhooks'));
      await guest.getByRole('tab', { name: 'Storage' }).waitFor();
      assert.equal(await guest.getByRole('tab', { name: 'Webhooks' }).count(), 0);

      await drawer.getByRole('button', { name: 'Close' }).click();
      await drawer.waitFor({ state: 'detached' });
      await accessible(page);
      await shot(page, 'webhooks');
      await page.getByRole('switch', { name: 'Webhook ci enabled' }).click();
      await page.getByRole('cell', { name: 'disabled', exact: true }).waitFor();
      await menu(page, 'ci', 'Change'); // what is not typed stays
      await dialog.getByText('Empty keeps the one that is stored.').first().waitFor();
      await dialog.getByText('Do not sign any more').click();
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
      const [hook] = (await api('GET', `/api/v1/projects/${PROJECT}/webhooks`)).items;
      assert.deepEqual([hook.has_secret, hook.has_auth_header, hook.enabled], [false, true, false]);
      await menu(page, 'ci', 'Delete');
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await page.getByText('No webhooks yet.').waitFor();
    } finally {
      receiver.close();
    }
  },

  'an administrator sees what images take, collects, and checks the store': async ({ page, newPage, url, api, admin, shot, accessible }) => {
    await prepare(api, url, admin);
    await page.goto(`${url}/ui/admin/storage`);
    await page.getByText('On disk').waitFor();
    const { blobs } = await api('GET', '/api/v1/registry/storage');
    assert.ok(blobs > 0);
    await page.getByText(`${blobs.toLocaleString('en')} blobs`, { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Collect now' }).click();
    await page.getByText(/blobs deleted|Nothing is old enough/).waitFor();
    await page.getByLabel('Read every blob').check();
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.getByText('every blob was read').waitFor();
    await page.getByText('all is fine').waitFor();
    const { last_fsck: last } = await api('GET', '/api/v1/registry/storage');
    assert.deepEqual([last.deep, last.problems, last.started_by], [true, 0, 'admin']);
    await accessible(page);
    await shot(page, 'storage');
    const small = await newPage({ locale: 'zh-TW', width: 400, dark: true });
    await small.goto(`${url}/ui/admin/storage`);
    await small.getByText('已讀取每個 blob').waitFor();
    await page400(small, accessible, shot, 'storage-400-zh');
  },
};
