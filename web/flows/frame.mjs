// The frame: signing in and out, sessions that end, languages, sizes, what a role sees, whether it is live.
import assert from 'node:assert/strict';

async function makeUser(api, name, project, role) {
  await api('POST', '/api/v1/users', { name, password: 'password of all' }).catch(() => undefined);
  await api('POST', '/api/v1/projects', { name: project }).catch(() => undefined);
  await api('PUT', `/api/v1/projects/${project}/members/${name}`, { role });
  return { user: name, password: 'password of all' };
}

export const flows = {
  'a wrong password is refused in words, the right one opens the overview': async ({ newPage, admin, shot, accessible }) => {
    const page = await newPage({ signIn: false });
    await page.getByLabel('User').fill('admin');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'password' }).waitFor();
    await accessible(page);
    await shot(page, 'sign-in');
    await page.getByLabel('Password').fill(admin.password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
  },

  'the overview shows what is free and becomes live': async ({ page, shot, accessible }) => {
    await page.getByText('Free now').waitFor();
    await page.getByRole('status', { name: 'Live' }).waitFor();
    await page.getByText('CPU', { exact: true }).waitFor();
    await accessible(page);
    await shot(page, 'overview');
  },

  'a session that ends loses nothing that was typed': async ({ newPage, api, url }) => {
    const who = await makeUser(api, 'typist', 'typing', 'developer');
    const page = await newPage(who);
    const search = page.getByRole('combobox', { name: 'Search' });
    await Promise.all([page.waitForResponse('**/api/v1/search?*'), search.fill('half a thought')]);
    await page.context().clearCookies();
    // Also when a request of the page was refused meanwhile, and the dialog is there already.
    await page.getByRole('link', { name: 'Jobs' }).first().dispatchEvent('click');
    await page.getByText('Your session has ended').waitFor();
    await page.getByLabel('Password').fill(who.password);
    await page.keyboard.press('Enter');
    await page.getByText('Your session has ended').waitFor({ state: 'hidden' });
    assert.equal(await search.inputValue(), 'half a thought');
    assert.ok(page.url().startsWith(url));
  },

  'three languages, chosen from the browser, kept when changed': async ({ newPage, shot }) => {
    for (const [locale, heading] of [['zh-TW', '總覽'], ['zh-CN', '概览'], ['en-GB', 'Overview'], ['fr-FR', 'Overview']]) {
      const page = await newPage({ locale });
      await page.getByRole('heading', { name: heading }).waitFor();
      await shot(page, `overview-${locale}`);
      await page.context().close();
    }
    const page = await newPage({ locale: 'en-US' });
    await page.getByRole('button', { name: 'Language' }).click();
    await page.getByRole('menuitem', { name: '繁體中文' }).click();
    await page.getByRole('heading', { name: '總覽' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: '總覽' }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-TW');
  },

  'the server speaks the language of the page, and its own words can be searched for': async ({ newPage, api, url, shot, accessible }) => {
    await api('POST', '/api/v1/projects', { name: 'spoken' }).catch(() => undefined);
    const job = await api('POST', '/api/v1/projects/spoken/jobs', { name: 'says', image: 'library/strata-ml:latest', command: ['no-such-program'] });
    const page = await newPage({ locale: 'zh-TW' });
    await page.goto(`${url}/ui/p/spoken/jobs/${job.id}?tab=events`);
    await page.getByText('由 admin 提交').waitFor();
    await page.goto(`${url}/ui/p/spoken/jobs?q=says`);
    await page.getByText('映像檔中找不到命令 "no-such-program"').first().waitFor();
    await page.goto(`${url}/ui/p/spoken/jobs/new?tab=yaml`);
    await page.locator('.cm-content').click();
    await page.keyboard.insertText('name: Bad Name\nimage: library/strata-ml:latest\nmemroy: 3\n');
    await page.getByRole('button', { name: '提交工作' }).click();
    await page.getByText('「Bad Name」不是名稱').first().waitFor();
    await page.getByText(/不認得的鍵/).first().waitFor();
    await shot(page, 'mistakes-zh-TW');
    await page.goto(`${url}/ui/admin/settings`);
    await page.getByText('早於這段時間的稽核紀錄會刪除。').waitFor();
    await page.goto(`${url}/ui/admin/health`);
    await page.getByText('以 root 執行').waitFor();
    await page.route('**/api/v1/users?*', (r) => r.fulfill({ status: 403, json: { error: { kind: 'forbidden', message: 'lin needs user:manage: ask an administrator', request_id: 'r2' } } }));
    await page.goto(`${url}/ui/admin/users`);
    await page.getByText('lin 需要 user:manage 權限：請洽管理員').waitFor();
    await page.getByText('lin needs user:manage: ask an administrator').waitFor();
    await accessible(page);
    await shot(page, 'error-zh-TW');
  },

  'small screens and dark ones are usable and have contrast': async ({ newPage, shot, accessible }) => {
    const page = await newPage({ width: 400, dark: true });
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
    await accessible(page);
    await page.getByRole('button', { name: 'Menu' }).click();
    await page.getByRole('dialog').getByRole('link', { name: 'Jobs' }).waitFor();
    await shot(page, 'overview-400-dark');
  },

  'the navigation shows what the role may do': async ({ page, newPage, api }) => {
    const guest = await newPage(await makeUser(api, 'visitor', 'visited', 'guest'));
    await guest.getByRole('link', { name: 'Jobs' }).first().waitFor();
    assert.equal(await guest.getByRole('link', { name: 'Admin' }).count(), 0);
    assert.equal(await page.getByRole('link', { name: 'Admin' }).count(), 1);
  },

  'the keyboard reaches everything: / searches, Enter opens': async ({ page, api }) => {
    await api('POST', '/api/v1/projects', { name: 'sought-project' }).catch(() => undefined);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the content');
    await page.keyboard.press('/');
    await page.keyboard.type('sought-pro');
    await page.locator('.ant-select-item-option-active').filter({ hasText: 'sought-project' }).waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/ui\/p\/sought-project\/jobs/);
  },

  'a project is made from anywhere': async ({ page }) => {
    const name = `made-${Date.now().toString(36)}`;
    await page.getByRole('combobox', { name: 'Project' }).click();
    await page.getByText('New project…').click();
    await page.getByLabel('Name').fill('Bad Name');
    await page.getByRole('button', { name: 'Create' }).click();
    await page.locator('.ant-form-item-explain-error').waitFor();
    await page.getByLabel('Name').fill(name);
    await page.getByRole('button', { name: 'Create' }).click();
    await page.waitForURL(new RegExp(`/p/${name}/`));
  },

  'one stream of events serves all tabs': async ({ page }) => {
    await page.getByRole('status', { name: 'Live' }).waitFor();
    let streams = 0;
    page.context().on('request', (r) => (streams += r.url().endsWith('/api/v1/events') ? 1 : 0));
    const second = await page.context().newPage();
    await second.goto(page.url());
    await second.getByRole('status', { name: 'Live' }).waitFor();
    assert.equal(streams, 0, 'the second tab listens to the first');
  },

  'an address that is no page says so': async ({ page, url, accessible }) => {
    await page.goto(`${url}/ui/no/such/page`);
    await page.getByText('There is no such page').waitFor();
    await accessible(page);
  },

  'nobody may frame the console, and it loads nothing from elsewhere': async ({ page, url }) => {
    const r = await fetch(`${url}/ui/`);
    const csp = r.headers.get('content-security-policy') ?? '';
    assert.match(csp, /frame-ancestors 'none'/);
    assert.match(csp, /script-src 'self';/);
    const hosts = new Set();
    page.on('request', (q) => hosts.add(new URL(q.url()).origin));
    await page.reload();
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    assert.deepEqual([...hosts], [url]);
    assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('strata_')), false);
  },
};
