// Administration, the settings of a project, one's own account.
import assert from 'node:assert/strict';

const PASSWORD = 'correct horse battery';

/** What an earlier try has left is fine. */
const ensure = (api, method, path, body) => api(method, path, body).catch(() => undefined);

async function user(api, name) {
  await ensure(api, 'POST', '/api/v1/users', { name, password: PASSWORD });
  await api('PATCH', `/api/v1/users/${name}`, { password: PASSWORD });
  return name;
}

export const flows = {
  'an administrator makes, disables and deletes a user': async ({ page, url, newPage }) => {
    await page.goto(`${url}/ui/admin`);
    await page.waitForURL(/\/admin\/users/);
    await page.getByRole('button', { name: 'New user' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('flow-lin');
    const password = await page.getByLabel('Password').inputValue();
    assert.match(password, /^[a-z0-9]{20}$/);
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByText('flow-lin can sign in now').waitFor();
    await page.getByText(password).waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).last().click();
    const other = await newPage({ user: 'flow-lin', password });
    await other.goto(`${url}/ui/admin/users`);
    await other.getByText('There is no such page').waitFor();

    const menu = async (item) => {
      await page.getByRole('button', { name: 'Actions for flow-lin' }).click();
      await page.getByRole('menuitem', { name: item }).click();
    };
    await menu('Disable');
    await page.getByText('stop working at once').waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    await page.getByRole('row', { name: /flow-lin/ }).getByText('disabled').waitFor();
    await page.goto(`${url}/ui/admin/users?q=flow-lin&kind=disabled`);
    await menu('Delete');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('row', { name: /flow-lin/ }).waitFor({ state: 'detached' });
  },

  'a maintainer manages members and secrets, and deletes the project by its name': async ({ url, api, newPage }) => {
    await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-team' });
    await user(api, 'flow-boss');
    await user(api, 'flow-dev');
    await api('PUT', '/api/v1/projects/flow-team/members/flow-boss', { role: 'maintainer' });
    const page = await newPage({ user: 'flow-boss', password: PASSWORD });
    await page.goto(`${url}/ui/p/flow-team/settings`);
    await page.getByPlaceholder('User').fill('flow-dev');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('button', { name: 'Remove flow-dev from the project' }).waitFor();
    await page.getByRole('button', { name: 'New secret' }).click();
    await page.getByLabel('Name').fill('api-key');
    await page.getByLabel('Value').fill('hunter2-hunter2');
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await page.getByRole('button', { name: 'Delete the secret api-key' }).waitFor();
    assert.equal((await page.content()).includes('hunter2'), false);
    await page.getByRole('button', { name: 'Remove flow-dev from the project' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('button', { name: 'Remove flow-dev from the project' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Delete the project flow-team' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('This goes for good').waitFor();
    assert.equal(await dialog.getByRole('button', { name: 'Delete' }).isDisabled(), true);
    await dialog.getByLabel('Type flow-team to confirm').fill('flow-team');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.waitForURL(/\/overview/);
  },

  'a maintainer makes a robot, narrows it, gives it a new secret and deletes it': async ({ url, api, newPage, accessible, shot }) => {
    await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-bots' });
    await ensure(api, 'DELETE', '/api/v1/projects/flow-bots/robots/flow-ci');
    await user(api, 'flow-boss');
    await api('PUT', '/api/v1/projects/flow-bots/members/flow-boss', { role: 'maintainer' });
    const page = await newPage({ user: 'flow-boss', password: PASSWORD });
    const me = async (secret) => (await fetch(`${url}/api/v1/me`, { headers: { Authorization: `Bearer ${secret}` } })).json();
    const menu = async (item) => {
      await page.getByRole('button', { name: 'Actions for flow-ci' }).click();
      await page.getByRole('menuitem', { name: item }).click();
    };
    const secret = async () => {
      const text = (await page.locator('.token-text').innerText()).trim();
      await page.getByRole('button', { name: 'I have copied it' }).click();
      await page.locator('.token-text').waitFor({ state: 'detached' });
      assert.equal((await page.content()).includes(text), false);
      return text;
    };
    await page.goto(`${url}/ui/p/flow-bots/settings`);
    await page.getByRole('button', { name: 'New robot' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('textbox', { name: 'Name' }).fill('flow-ci');
    await dialog.getByLabel('Description').fill('builds the images');
    await dialog.getByRole('checkbox', { name: /image:push/ }).check();
    assert.equal(await dialog.getByRole('checkbox', { name: /project:manage/ }).count(), 0);
    await accessible(page);
    await shot(page, 'robot-new');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await page.getByText("docker login -u 'robot$flow-bots+flow-ci'").waitFor();
    const first = await secret();
    assert.deepEqual((await me(first)).grants, [{ project: 'flow-bots', permissions: ['image:pull', 'image:push'] }]);
    await page.getByText('builds the images').waitFor();
    await accessible(page);
    await shot(page, 'robots-of-a-project');

    await menu('Change');
    await dialog.getByRole('checkbox', { name: /image:push/ }).uncheck();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    assert.deepEqual((await me(first)).grants[0].permissions, ['image:pull']);
    await menu('New secret');
    await page.getByRole('dialog').getByRole('button', { name: 'New secret' }).click();
    const second = await secret();
    assert.ok((await me(first)).error);
    await menu('Disable');
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    await page.getByRole('row', { name: /flow-ci/ }).getByText('disabled').waitFor();
    assert.ok((await me(second)).error);
    await menu('Delete');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('row', { name: /flow-ci/ }).waitFor({ state: 'detached' });
  },

  'an administrator makes a robot for every project and a group, which gets a role': async ({ page, url, api, newPage, accessible, shot }) => {
    await ensure(api, 'DELETE', '/api/v1/robots/flow-mirror');
    await ensure(api, 'DELETE', '/api/v1/groups/flow-people');
    await ensure(api, 'POST', '/api/v1/projects', { name: 'flow-bots' });
    await user(api, 'flow-grouped');
    const dialog = page.getByRole('dialog');
    await page.goto(`${url}/ui/admin/robots`);
    await page.getByRole('button', { name: 'New robot' }).click();
    await dialog.getByRole('textbox', { name: 'Name' }).fill('flow-mirror');
    await dialog.getByLabel('In which projects').click();
    await page.getByTitle('Every project').click();
    await dialog.getByRole('textbox', { name: 'Name' }).click();
    await dialog.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('button', { name: 'I have copied it' }).click();
    await page.getByText('robot$flow-mirror').waitFor();
    await accessible(page);
    await shot(page, 'robots-of-the-system');
    await page.getByRole('button', { name: 'Actions for flow-mirror' }).click();
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('robot$flow-mirror').waitFor({ state: 'detached' });

    await page.getByRole('link', { name: 'Groups' }).click();
    await page.getByRole('button', { name: 'New group' }).click();
    await dialog.getByRole('textbox', { name: 'Name' }).fill('flow-people');
    await dialog.getByLabel('Description').fill('of the flow');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await dialog.getByText('Group flow-people').waitFor();
    await dialog.getByLabel('Add a user').fill('flow-grouped');
    await page.getByTitle('flow-grouped').click();
    await dialog.getByRole('button', { name: 'Remove flow-grouped from the group' }).waitFor();
    await accessible(page);
    await shot(page, 'group');
    await dialog.getByRole('button', { name: 'Close' }).last().click();
    await page.goto(`${url}/ui/p/flow-bots/settings`);
    await page.getByLabel('User or group').click();
    await page.getByTitle('Group', { exact: true }).click();
    await page.getByPlaceholder('Group').fill('flow-people');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('button', { name: 'Remove flow-people from the project' }).waitFor();
    await accessible(page);
    await shot(page, 'group-as-member');
    const small = await newPage({ locale: 'zh-TW', width: 400, dark: true });
    await api('POST', '/api/v1/robots', { name: 'flow-mirror', grants: [{ project: 'flow-bots', permissions: ['image:pull', 'job:read'] }] });
    for (const [where, text] of [['admin/robots', 'robot$flow-mirror'], ['admin/groups?group=flow-people', 'flow-grouped'], ['p/flow-bots/settings', 'flow-people']]) {
      await small.goto(`${url}/ui/${where}`);
      await small.getByText(text).first().waitFor();
      await accessible(small);
      await shot(small, `small-${where.replace(/\W+/g, '-')}`);
      assert.ok(await small.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${where} is wider than the screen`);
    }
    await api('DELETE', '/api/v1/robots/flow-mirror');
    assert.deepEqual((await api('GET', '/api/v1/groups/flow-people')).projects, [{ name: 'flow-bots', role: 'developer' }]);
    await page.goto(`${url}/ui/admin/groups`);
    await page.getByRole('button', { name: 'Delete the group flow-people' }).click();
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('row', { name: /flow-people/ }).waitFor({ state: 'detached' });
  },

  'the audit log is filtered on the server, by the address': async ({ page, url, api }) => {
    await user(api, 'flow-audited');
    await page.goto(`${url}/ui/admin/audit?q=/users&time=hour`);
    await page.getByText('/api/v1/users').first().waitFor();
    const row = page.getByRole('row').filter({ hasText: '/api/v1/users' }).first();
    const id = (await row.locator('a').first().innerText()).trim();
    assert.match(id, /^[0-9a-f]{16}$/);
    await row.locator('a').first().click();
    await page.waitForURL((u) => u.searchParams.get('q') === id);
    await page.waitForFunction(() => document.querySelectorAll('tbody tr.ant-table-row').length === 1);
    await page.getByLabel('Path, address or request').fill('nothing-is-called-so');
    await page.getByText('Nothing matches').waitFor();
  },

  'health, nodes, permissions and settings say what the server says': async ({ page, url, accessible }) => {
    await page.goto(`${url}/ui/admin/health`);
    await page.getByRole('cell', { name: 'disk space' }).waitFor();
    await accessible(page);
    await page.getByRole('link', { name: 'Nodes' }).click();
    await page.getByText('Architecture:').waitFor();
    await accessible(page);
    await page.getByRole('link', { name: 'Permissions' }).click();
    await page.getByText('Cancel and delete jobs').waitFor();
    await accessible(page);
    await page.getByRole('link', { name: 'Settings', exact: true }).click();
    await page.getByText('net.trusted_proxies').waitFor();
    await accessible(page);
    await page.getByLabel('Only what is changed').click();
    await page.waitForURL(/changed=1/);
    await page.getByText('net.trusted_proxies').waitFor({ state: 'detached' });
  },

  'a token is shown once, narrowed, used and revoked': async ({ page, url, accessible }) => {
    await page.goto(`${url}/ui/account`);
    await page.getByRole('button', { name: 'New token' }).waitFor();
    await accessible(page);
    await page.getByRole('button', { name: 'New token' }).click();
    await page.getByLabel('Name').fill('flow-ci');
    await page.getByLabel('Only this').check();
    await page.getByRole('checkbox', { name: /job:read/ }).check();
    await page.getByRole('button', { name: 'Create' }).click();
    const text = (await page.locator('.token-text').innerText()).trim();
    assert.match(text, /^strata_/);
    const call = (path) => fetch(url + path, { headers: { Authorization: `Bearer ${text}` } });
    const me = await (await call('/api/v1/me')).json();
    assert.deepEqual(me.scopes, ['job:read']);
    assert.equal((await call('/api/v1/users')).status, 403);
    await page.getByRole('button', { name: 'I have copied it' }).click();
    await page.locator('.token-text').waitFor({ state: 'detached' });
    assert.equal((await page.content()).includes(text), false);
    await page.getByRole('button', { name: 'Revoke the token flow-ci' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('button', { name: 'Revoke the token flow-ci' }).waitFor({ state: 'detached' });
    assert.equal((await call('/api/v1/me')).status, 401);
  },

  'everybody changes the own password; others see no administration': async ({ url, api, newPage }) => {
    await user(api, 'flow-pat');
    const page = await newPage({ user: 'flow-pat', password: PASSWORD, width: 400 });
    await page.goto(`${url}/ui/account`);
    await page.getByLabel('Password now').fill('wrong');
    await page.getByLabel('New password', { exact: true }).fill('another long password');
    await page.getByLabel('New password again').fill('another long password');
    await page.getByRole('button', { name: 'Change', exact: true }).click();
    await page.locator('.ant-form-item-explain-error').waitFor();
    await page.getByLabel('Password now').fill(PASSWORD);
    await page.getByRole('button', { name: 'Change', exact: true }).click();
    await page.getByText('Your password is changed').waitFor();
    assert.equal(await page.getByRole('link', { name: 'Admin', exact: true }).count(), 0);
  },
};
