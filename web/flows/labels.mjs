// Labels of images and the logo of a project.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';

const PASSWORD = 'correct horse battery';
const digestOf = (text) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
// One grey pixel.
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';

/** A small image of its own for each text. */
async function push(url, { user, password }, repository, tag) {
  const headers = { Authorization: `Basic ${btoa(`${user}:${password}`)}` };
  const config = JSON.stringify({ os: 'linux', architecture: 'amd64', config: { Labels: { tag } }, rootfs: { type: 'layers', diff_ids: [] } });
  const started = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST', headers });
  const at = new URL(started.headers.get('Location'), url);
  at.searchParams.set('digest', digestOf(config));
  assert.ok((await fetch(at, { method: 'PUT', body: config, headers })).ok);
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = JSON.stringify({ schemaVersion: 2, mediaType: type, layers: [],
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length } });
  assert.ok((await fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'PUT', body: manifest, headers: { ...headers, 'Content-Type': type } })).ok);
}

async function prepare({ api, url, admin }) {
  const p = `labels-${randomBytes(4).toString('hex')}`;
  await api('POST', '/api/v1/projects', { name: p });
  for (const tag of ['v1', 'v2']) {
    await push(url, admin, `${p}/app`, tag);
  }
  return p;
}

async function member(api, p, role) {
  const user = `${p}-${role}`;
  await api('POST', '/api/v1/users', { name: user, password: PASSWORD });
  await api('PUT', `/api/v1/projects/${p}/members/${user}`, { role });
  return { user, password: PASSWORD };
}

const fits = async (page) => assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${page.url()} is too wide`);

export const flows = {
  'a label is made, put on an image, filtered by, taken off and deleted': async (t) => {
    const { page, url, api, shot, accessible } = t;
    const p = await prepare(t);
    await page.goto(`${url}/ui/p/${p}/images`);
    await page.getByRole('link', { name: 'Labels' }).click();
    await page.getByRole('button', { name: 'New label' }).click();
    await page.getByLabel('Label', { exact: true }).fill('released');
    await page.getByLabel('Description').fill('Customers have it.');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('cell', { name: 'Customers have it.' }).last().waitFor();
    await accessible(page);
    await shot(page, 'labels');
    await page.goto(`${url}/ui/p/${p}/images/app?tag=v2`);
    await page.getByRole('combobox', { name: 'Add a label' }).click();
    await page.getByTitle('released', { exact: true }).click();
    await page.getByRole('group', { name: 'Labels' }).getByText('released').waitFor();
    await accessible(page);
    await shot(page, 'labels-of-image');
    await page.goto(`${url}/ui/p/${p}/images/app`);
    await page.getByRole('link', { name: 'v1' }).waitFor();
    await page.getByRole('combobox', { name: 'Filter by labels' }).click();
    await page.getByTitle('released', { exact: true }).click();
    await page.getByRole('link', { name: 'v1' }).waitFor({ state: 'detached' });
    assert.ok(await page.getByRole('link', { name: 'v2' }).isVisible());
    await page.keyboard.press('Escape');
    await accessible(page);
    await shot(page, 'labels-filter');
    assert.match(page.url(), /label=released/, 'a link shows the same');
    await page.goto(`${url}/ui/p/${p}/images/app?tag=v2`);
    await page.getByLabel('Take the label released off').click();
    await page.getByLabel('Take the label released off').waitFor({ state: 'detached' });
    assert.deepEqual((await api('GET', `/api/v1/projects/${p}/repositories/app/artifacts/v2/labels`)).items, []);
    await page.goto(`${url}/ui/p/${p}/labels`);
    await page.getByRole('button', { name: 'Delete the label released' }).click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByText('No labels yet').waitFor();
  },

  'labels on a narrow dark screen; a guest sees them and changes none': async (t) => {
    const { url, api, newPage, shot, accessible } = t;
    const p = await prepare(t);
    await api('POST', `/api/v1/projects/${p}/labels`, { name: 'a label with a rather long name that has to find its place', color: '#531dab' });
    await api('PUT', `/api/v1/projects/${p}/repositories/app/artifacts/v1/labels/${encodeURIComponent('a label with a rather long name that has to find its place')}`);
    const guest = await newPage({ ...(await member(api, p, 'guest')), width: 400, dark: true });
    for (const [at, name] of [['labels', 'labels-400'], ['images/app', 'labels-tags-400'], ['images/app?tag=v1', 'labels-image-400']]) {
      await guest.goto(`${url}/ui/p/${p}/${at}`);
      await guest.getByText('a label with a rather long name').first().waitFor();
      await fits(guest);
      await accessible(guest);
      await shot(guest, name);
    }
    assert.equal(await guest.getByLabel('Add a label').count(), 0);
    assert.equal(await guest.getByLabel(/^Take the label/).count(), 0);
    await guest.goto(`${url}/ui/p/${p}/labels`);
    await guest.getByText('a label with a rather long name').first().waitFor();
    assert.equal(await guest.getByRole('button', { name: 'New label' }).count(), 0);
  },

  'a project gets a logo, which its lists show': async (t) => {
    const { page, url, api, shot, accessible } = t;
    const p = await prepare(t);
    await page.goto(`${url}/ui/p/${p}/settings`);
    await page.getByRole('button', { name: 'Choose a picture' }).waitFor();
    await page.locator('input[type=file]').setInputFiles({ name: 'x.svg', mimeType: 'image/png', buffer: Buffer.from('<svg/>') });
    await page.getByText('a logo is a PNG, JPEG or WebP picture').waitFor();
    await page.locator('input[type=file]').setInputFiles({ name: 'logo.png', mimeType: 'image/png', buffer: Buffer.from(PNG, 'base64') });
    await page.getByRole('button', { name: 'Remove the logo' }).waitFor();
    assert.ok(await page.locator('.ant-card .project-logo').evaluate((img) => img.decode().then(() => img.naturalWidth === 1)));
    await accessible(page);
    await shot(page, 'logo-settings');
    await page.goto(`${url}/ui/admin/projects?q=${p}`);
    await page.locator('td .project-logo').waitFor();
    await accessible(page);
    await shot(page, 'logo-projects');
    await page.goto(`${url}/ui/p/${p}/settings`);
    await page.getByRole('button', { name: 'Remove the logo' }).click();
    await page.getByRole('button', { name: 'Remove the logo' }).waitFor({ state: 'detached' });
    assert.equal((await api('GET', `/api/v1/projects/${p}`)).logo, null);
  },
};
