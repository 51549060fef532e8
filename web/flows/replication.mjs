// Other registries, rules and runs: the server copies to itself, under another name.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

const digestOf = (text) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** The smallest image there is. */
async function push(url, admin, repository, tag) {
  const v2 = (method, path, body, type) =>
    fetch(`${url}/v2/${repository}/${path}`, {
      method,
      body,
      headers: { Authorization: `Basic ${btoa(`${admin.user}:${admin.password}`)}`, ...(type ? { 'Content-Type': type } : {}) },
    });
  const config = '{}';
  const started = await v2('POST', 'blobs/uploads/');
  const at = new URL(started.headers.get('Location'), url);
  at.searchParams.set('digest', digestOf(config));
  const stored = await fetch(at, { method: 'PUT', body: config, headers: { Authorization: `Basic ${btoa(`${admin.user}:${admin.password}`)}` } });
  assert.equal(stored.status, 201);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
    layers: [],
  });
  const put = await v2('PUT', `manifests/${tag}`, manifest, 'application/vnd.oci.image.manifest.v1+json');
  assert.equal(put.status, 201);
}

const gone = (api, path) => api('DELETE', path).catch(() => undefined);

export const flows = {
  'an administrator adds a registry, makes a rule, and sees what it copies': async ({ page, url, api, admin, accessible, shot, newPage }) => {
    await gone(api, '/api/v1/replication/rules/flow-rule');
    await gone(api, '/api/v1/registries/flow-site');
    await api('POST', '/api/v1/projects', { name: 'flow-repl' }).catch(() => undefined);
    await push(url, admin, 'flow-repl/app', 'v1');

    await page.goto(`${url}/ui/admin/replication`);
    await page.getByRole('button', { name: 'Add registry' }).click();
    let dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('flow-site');
    await dialog.getByLabel('Address').fill('registry.example');
    await accessible(page);
    await shot(page, 'replication-registry');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.getByText('expected the address of a registry').waitFor();
    await dialog.getByLabel('Address').fill(url);
    await dialog.getByLabel('User').fill(admin.user);
    await dialog.getByLabel('Password', { exact: true }).fill('wrong');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.waitFor({ state: 'detached' });

    const menu = async (name, item) => {
      await page.getByRole('button', { name: `Actions for ${name}` }).click();
      await page.getByRole('menuitem', { name: item }).click();
    };
    await page.getByRole('tab', { name: 'Registries' }).click();
    await menu('flow-site', 'Test');
    await page.getByText('does not take this user and password').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await menu('flow-site', 'Change');
    await page.getByRole('dialog').getByLabel('Password', { exact: true }).fill(admin.password);
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await menu('flow-site', 'Test');
    await page.getByText('flow-site answers, and takes the user').waitFor();
    await accessible(page);
    await shot(page, 'replication-registries');

    await page.getByRole('button', { name: 'New rule' }).click();
    dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('flow-rule');
    await dialog.getByLabel('Repositories').fill('flow-repl/app');
    await dialog.getByLabel('Destination', { exact: true }).fill('flow-repl/copies');
    await accessible(page);
    await shot(page, 'replication-rule');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('tab', { name: 'Rules' }).click();
    await page.getByRole('button', { name: 'Run now: flow-rule' }).waitFor();
    await accessible(page);
    await shot(page, 'replication-rules');
    await page.getByLabel('Filter by rule, registry or repository').fill('no-such-rule');
    await page.getByRole('button', { name: 'Run now: flow-rule' }).waitFor({ state: 'detached' });
    await page.getByLabel('Filter by rule, registry or repository').fill('FLOW-site');
    await page.getByRole('button', { name: 'Run now: flow-rule' }).waitFor();
    await page.getByRole('button', { name: 'Run now: flow-rule' }).click();
    // It ends while one looks: events tell.
    const row = page.getByRole('row', { name: /flow-rule/ }).first();
    await row.getByText('succeeded').waitFor();
    await row.getByRole('button', { name: /Show run/ }).click();
    await page.getByText('flow-repl/copies/flow-repl/app').waitFor();
    await accessible(page);
    await shot(page, 'replication-run');
    const run = page.url();
    await page.goto(`${url}/ui/admin/replication?tab=runs&runs=flow-rule`);
    await row.waitFor();
    await page.getByLabel('Filter by rule', { exact: true }).fill('other');
    await page.getByText('Nothing fits this filter.').waitFor();

    const small = await newPage({ width: 400, dark: true });
    await small.goto(run);
    await small.getByText('flow-repl/copies/flow-repl/app').waitFor();
    await accessible(small);
    await shot(small, 'replication-run-small');
    await small.goto(`${url}/ui/admin/replication`);
    await small.getByRole('button', { name: 'Run now: flow-rule' }).waitFor();
    await accessible(small);
    await shot(small, 'replication-small');

    const chinese = await newPage({ locale: 'zh-TW' });
    await chinese.goto(run);
    await chinese.getByText('成為 flow-repl/copies/flow-repl/app').waitFor();
    await shot(chinese, 'replication-zh');

    await page.goto(`${url}/ui/admin/replication`);
    await menu('flow-rule', 'Delete');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('button', { name: 'Run now: flow-rule' }).waitFor({ state: 'detached' });
    await page.goto(`${url}/ui/admin/replication?tab=registries`);
    await menu('flow-site', 'Delete');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByText('flow-site', { exact: true }).waitFor({ state: 'detached' });
  },
};
