// What people do with jobs in the console, in a real browser against a real server.
import assert from 'node:assert/strict';

const IMAGE = 'demo/busybox:1';
const SMALL = { cpu: '100m', memory: '64Mi' };
const FINAL = ['succeeded', 'failed', 'cancelled', 'lost'];

const RUN = Date.now().toString(36); // flows may run again on the same server

const sh = (script) => ['sh', '-c', script];

async function submit(api, spec) {
  const job = await api('POST', '/api/v1/projects/demo/jobs', { image: IMAGE, resources: SMALL, ...spec });
  assert.ok(job.id, JSON.stringify(job));
  return job;
}

async function ended(api, id, states = FINAL) {
  for (let i = 0; i < 600; i++) {
    const job = await api('GET', `/api/v1/projects/demo/jobs/${id}`);
    if (states.includes(job.state)) {
      return job;
    }
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`job ${id} is none of ${states}`);
}

const log = (page) => page.locator('.log-box');
const screen = (page) => page.locator('.xterm-rows');
const type = async (page, line) => {
  await page.keyboard.type(line);
  await page.keyboard.press('Enter');
};

export const flows = {
  'a job is submitted by form, runs, and its log is read': async ({ page, url }) => {
    await page.goto(`${url}/ui/p/demo/jobs`);
    await page.getByRole('link', { name: 'Submit a job' }).first().click();
    await page.getByLabel('Image', { exact: true }).fill(IMAGE);
    await page.getByLabel('Command', { exact: true }).fill(`sh -c 'echo "hello from the form $WORD"'`);
    await page.getByLabel('Name', { exact: true }).fill('by-form');
    await page.getByLabel('Memory', { exact: true }).last().fill('64Mi');
    await page.getByRole('button', { name: 'Add a variable' }).click();
    await page.getByLabel('Variable 1', { exact: true }).fill('WORD');
    await page.getByLabel('Value of variable 1').fill('<b>bold</b>');
    await page.getByRole('button', { name: 'Submit a job' }).click();
    await page.waitForURL(/\/jobs\/j-/);
    await page.locator('.page-head .state', { hasText: 'succeeded' }).waitFor();
    await page.getByRole('tab', { name: 'Log' }).click();
    await log(page).getByText('hello from the form <b>bold</b>').waitFor();
    assert.match(page.url(), /tab=log/);
    await page.getByRole('tab', { name: 'Spec' }).click();
    await page.locator('pre.spec', { hasText: 'WORD: <b>bold</b>' }).waitFor();
  },

  'form and YAML are two views of the same text': async ({ page, url }) => {
    await page.goto(`${url}/ui/p/demo/jobs/new?tab=yaml`);
    await page.locator('.cm-content').click();
    await page.keyboard.insertText(`# kept\nname: two-views\nimage: ${IMAGE}\ncommand: [echo, "a b"] # too\n`);
    await page.getByText('Form', { exact: true }).click();
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'two-views');
    assert.equal(await page.getByLabel('Command', { exact: true }).inputValue(), "echo 'a b'");
    await page.getByLabel('Name', { exact: true }).fill('changed');
    await page.getByText('YAML', { exact: true }).click();
    const text = await page.locator('.cm-content').innerText();
    assert.match(text, /# kept/);
    assert.match(text, /name: changed/);
    assert.match(text, /\[echo, "?a b"?\] # too/);
    await page.waitForTimeout(400);
    await page.reload();
    await page.locator('.cm-content', { hasText: 'name: changed' }).waitFor();
  },

  'mistakes stand at their line and at their field': async ({ page, url }) => {
    await page.goto(`${url}/ui/p/demo/jobs/new?tab=yaml`);
    await page.locator('.cm-content').click();
    await page.keyboard.insertText(`name: Bad Name\nimage: ${IMAGE}\nresources: {memory: lots}\n`);
    await page.getByRole('button', { name: 'Submit a job' }).click();
    await page.getByText('Mistakes in the job: 2').waitFor();
    await page.getByText('Line 3:').waitFor();
    assert.equal(await page.locator('.cm-lint-marker-error').count(), 2);
    await page.getByText('Form', { exact: true }).click();
    await page.locator('.ant-form-item', { hasText: 'Name' }).getByText(/is no name/).waitFor();
    await page.locator('.ant-form-item-has-error', { hasText: 'Memory' }).first().waitFor();
  },

  'an image that does not exist is told at its field': async ({ page, url }) => {
    await page.goto(`${url}/ui/p/demo/jobs/new`);
    await page.getByLabel('Image', { exact: true }).fill('demo/nothing:1');
    await page.getByRole('button', { name: 'Submit a job' }).click();
    await page.locator('.ant-form-item-has-error', { hasText: 'Image' }).getByRole('alert').getByText(/no repository demo\/nothing/).waitFor();
  },

  'nothing typed is lost when the session ends': async ({ page, url, admin }) => {
    await page.goto(`${url}/ui/p/demo/jobs/new`);
    await page.getByLabel('Image', { exact: true }).fill(IMAGE);
    await page.getByLabel('Name', { exact: true }).fill('after-signing-in');
    await page.getByLabel('Command', { exact: true }).fill('true');
    await page.context().clearCookies();
    await page.getByRole('button', { name: 'Submit a job' }).click();
    await page.getByText('Your session has ended').waitFor();
    await page.getByLabel('Password').fill(admin.password);
    await page.keyboard.press('Enter');
    await page.getByText('Your session has ended').waitFor({ state: 'detached' });
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'after-signing-in');
    await page.getByRole('button', { name: 'Submit a job' }).click();
    await page.waitForURL(/\/jobs\/j-/);
  },

  'filters stand in the address': async ({ page, url, api }) => {
    const good = await submit(api, { name: `good-${RUN}`, command: sh('true') });
    const bad = await submit(api, { name: `bad-${RUN}`, command: sh('exit 3') });
    await ended(api, good.id);
    await ended(api, bad.id);
    await page.goto(`${url}/ui/p/demo/jobs?state=failed&q=${RUN}`);
    await page.getByRole('link', { name: `bad-${RUN}` }).waitFor();
    assert.equal(await page.getByRole('link', { name: `good-${RUN}` }).count(), 0);
    await page.getByRole('button', { name: 'succeeded' }).click();
    await page.getByRole('link', { name: `good-${RUN}` }).waitFor();
    assert.match(decodeURIComponent(page.url()), /state=succeeded,failed/);
    await page.goBack();
    await page.getByRole('link', { name: `good-${RUN}` }).waitFor({ state: 'detached' });
    await page.getByLabel('Filter by name').fill('nothing is called so');
    await page.getByText('No job fits this filter.').waitFor();
    await page.getByRole('button', { name: 'Show all jobs' }).click();
    await page.getByRole('link', { name: `good-${RUN}` }).waitFor();
    assert.equal(new URL(page.url()).search, '');
  },

  'the list is live': async ({ page, url, api }) => {
    await page.goto(`${url}/ui/p/demo/jobs?q=live-${RUN}`);
    await page.getByText('No job fits this filter.').waitFor();
    const job = await submit(api, { name: `live-${RUN}`, command: sh('exit 4') });
    await page.getByRole('link', { name: `live-${RUN}` }).waitFor();
    await page.getByText('exit code 4').waitFor();
    await ended(api, job.id);
  },

  'many jobs are cancelled and deleted at once': async ({ page, url, api }) => {
    for (let i = 0; i < 3; i++) {
      await submit(api, { name: `bulk-${RUN}-${i}`, command: sh('sleep 300'), grace: '0s' });
    }
    await page.goto(`${url}/ui/p/demo/jobs?q=bulk-${RUN}`);
    await page.getByRole('link', { name: `bulk-${RUN}-2` }).waitFor();
    await page.getByLabel('Select all that are shown').check();
    await page.getByRole('button', { name: 'Cancel 3' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel 3' }).click();
    await page.locator('.job-table .state', { hasText: 'cancelled' }).nth(2).waitFor();
    await page.getByLabel('Select all that are shown').check();
    await page.getByRole('button', { name: 'Delete 3 finished' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete 3 finished' }).click();
    await page.getByText('No job fits this filter.').waitFor();
  },

  'out of memory is explained, and more memory offered': async ({ page, url, api }) => {
    const job = await submit(api, { name: 'hungry', command: sh('tail /dev/zero'), resources: { cpu: '100m', memory: '32Mi' } });
    await ended(api, job.id);
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}`);
    await page.getByText('It needed more memory than it may use').waitFor();
    await page.getByRole('link', { name: 'Run again with 48Mi' }).click();
    await page.waitForURL(/from=/);
    assert.equal(await page.locator('#job-memory').inputValue(), '48Mi');
    assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'hungry');
  },

  'attempts are told apart, in the picture and in the log': async ({ page, url, api }) => {
    const job = await submit(api, { name: 'tries', command: sh('echo this is try $STRATA_ATTEMPT; exit 3'), retries: 1 });
    await ended(api, job.id);
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}`);
    await page.getByRole('img', { name: /Attempt 2.*exit code 3/ }).waitFor();
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=log&attempt=1`);
    await log(page).getByText('this is try 1').waitFor();
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=log`);
    await log(page).getByText('this is try 2').waitFor();
  },

  'a log follows, is coloured, and is cancelled': async ({ page, url, api }) => {
    const job = await submit(api, { name: 'talks', grace: '0s', command: sh(`printf '\\033[31mred\\033[0m\\n'; i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.2; done`) });
    await ended(api, job.id, ['running']);
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=log`);
    await log(page).locator('.ansi-1', { hasText: 'red' }).waitFor();
    await log(page).getByText('tick 12', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Cancel the job' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel the job' }).click();
    await page.locator('.page-head .state', { hasText: 'cancelled' }).waitFor();
    await page.getByText('· complete').waitFor();
  },

  'a cut stream goes on by offset, without gap or repetition': async ({ page, url, api }) => {
    const job = await submit(api, { name: 'cut', grace: '0s', command: sh('i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo mark $i; sleep 0.1; done') });
    await ended(api, job.id, ['running']);
    let cuts = 0;
    await page.route(/follow=1/, async (route) => {
      if (cuts++ >= 3) {
        return route.continue();
      }
      const part = new URL(route.request().url()); // a stream that ends in the midst of a line
      part.searchParams.delete('follow');
      const body = await (await page.request.get(part.href)).body();
      return route.fulfill({ contentType: 'text/plain', body: body.subarray(0, body.length - 3) });
    });
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=log`);
    await log(page).getByText('mark 60', { exact: true }).waitFor();
    const marks = (await log(page).locator('.log-text').allInnerTexts()).map((m) => m.trim());
    const last = marks.indexOf('mark 60');
    assert.ok(cuts > 3);
    assert.deepEqual(marks.slice(last - 9, last + 1), Array.from({ length: 10 }, (_, i) => `mark ${51 + i}`));
  },

  'words are found in a long log, forwards and backwards': async ({ page, url, api }) => {
    const job = await submit(api, { name: 'long', resources: { cpu: 1, memory: '128Mi' }, command: sh('echo needle one; seq 1 600000; echo needle two; seq 1 10') });
    await ended(api, job.id);
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=log`);
    await page.getByLabel('Find in the log').fill('needle');
    await page.getByText('2 found').waitFor();
    await page.getByLabel('Previous place').click();
    await page.getByText('1 of 2').waitFor();
    await log(page).locator('mark.now').waitFor();
    assert.match(await log(page).innerText(), /needle one/);
    await page.getByLabel('Next place').click();
    await page.getByText('2 of 2').waitFor();
    await log(page).getByText('needle two').waitFor();
    assert.match(await page.url(), /find=needle/);
  },

  'a guest sees jobs but no buttons to change them': async ({ newPage, url, api }) => {
    const job = await submit(api, { name: 'guests-see', command: sh('true') });
    await ended(api, job.id);
    await api('POST', '/api/v1/users', { name: 'jobguest', password: 'correct horse battery' });
    await api('PUT', '/api/v1/projects/demo/members/jobguest', { role: 'guest' });
    const page = await newPage({ user: 'jobguest', password: 'correct horse battery' });
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}`);
    await page.getByText('It has done its work').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Delete' }).count(), 0);
    assert.equal(await page.getByRole('link', { name: 'Clone' }).count(), 0);
    await page.goto(`${url}/ui/p/demo/jobs`);
    await page.getByRole('link', { name: 'guests-see' }).first().waitFor();
    assert.equal(await page.getByRole('link', { name: 'Submit a job' }).count(), 0);
  },

  'a shell is opened in a running job, resized, copied from, and its end is told': async ({ page, url, api, shot, accessible }) => {
    const job = await submit(api, { name: `shell-${RUN}`, command: sh('trap "exit 0" TERM; while :; do sleep 1; done') });
    await ended(api, job.id, ['running']);
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}`);
    await page.getByRole('tab', { name: 'Terminal' }).click();
    assert.match(page.url(), /tab=terminal/);
    await page.getByRole('button', { name: 'Open a shell' }).click();
    await page.getByText('connected', { exact: true }).waitFor();
    await screen(page).getByText(/# $/).first().waitFor();
    await type(page, 'echo "answer $((6*7))"');
    await screen(page).getByText('answer 42').first().waitFor();
    await shot(page, 'terminal');
    await accessible(page);

    // its size is that of the box
    await type(page, 'stty size | tr " " x; echo end-$((1+0))');
    await screen(page).getByText('end-1').first().waitFor();
    const wide = /(\d+)x(\d+)/.exec(await screen(page).innerText());
    await page.setViewportSize({ width: 820, height: 700 });
    await type(page, 'clear; stty size | tr " " x; echo end-$((1+1))');
    await screen(page).getByText('end-2').first().waitFor();
    const small = /(\d+)x(\d+)/.exec(await screen(page).innerText());
    assert.ok(Number(small[1]) < Number(wide[1]) && Number(small[2]) < Number(wide[2]), `${wide[0]} -> ${small[0]}`);
    await page.setViewportSize({ width: 1280, height: 860 });

    // Ctrl+C interrupts; with a selection it copies; Ctrl+V pastes
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
    await type(page, 'sleep 300');
    await screen(page).getByText('sleep 300').first().waitFor();
    await page.waitForTimeout(300);
    await page.keyboard.press('Control+c');
    await type(page, 'echo code-$?');
    await screen(page).getByText('code-130').first().waitFor();
    await screen(page).getByText('code-130').first().dblclick();
    await page.keyboard.press('Control+c');
    await page.waitForFunction(async () => (await navigator.clipboard.readText()).includes('code-130'));
    await page.evaluate(() => navigator.clipboard.writeText('echo pasted-$((2+3))'));
    await page.keyboard.press('Control+v');
    await page.keyboard.press('Enter');
    await screen(page).getByText('pasted-5').first().waitFor();

    // it stays while one reads the log; F6 leaves it for the button
    await page.getByRole('tab', { name: 'Log' }).click();
    await page.getByRole('tab', { name: 'Terminal' }).click();
    await screen(page).getByText('pasted-5').first().waitFor();
    await screen(page).click();
    await page.keyboard.press('F6');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Close the shell');

    // it ends by itself, and with the job
    await screen(page).click();
    await type(page, 'exit 3');
    await page.getByText('The shell has ended with exit code 3.').waitFor();
    await page.getByRole('button', { name: 'Open another shell' }).click();
    await page.getByText('connected', { exact: true }).waitFor();
    await api('POST', `/api/v1/projects/demo/jobs/${job.id}/cancel`);
    await page.getByText(`job ${job.id} has ended, and with it this shell`).waitFor();
    await page.getByText('The job has ended: there is nothing to open a shell in.').waitFor();
    assert.ok(await page.getByRole('button', { name: 'Open another shell' }).isDisabled());
    await shot(page, 'terminal-ended');
    await accessible(page);
  },

  'the terminal is for those who may, in their language, on a phone, in the dark': async ({ page, url, api, newPage, shot, accessible }) => {
    const job = await submit(api, { name: `phone-${RUN}`, command: sh('trap "exit 0" TERM; while :; do sleep 1; done') });
    await ended(api, job.id, ['running']);
    const password = 'correct horse battery';
    for (const [user, role] of [[`dev-${RUN}`, 'developer'], [`guest-${RUN}`, 'guest']]) {
      await api('POST', '/api/v1/users', { name: user, password });
      await api('PUT', `/api/v1/projects/demo/members/${user}`, { role });
    }
    const guest = await newPage({ user: `guest-${RUN}`, password });
    await guest.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=terminal`);
    await guest.getByRole('tab', { name: 'Log' }).waitFor();
    assert.equal(await guest.getByRole('tab', { name: 'Terminal' }).count(), 0);
    const phone = await newPage({ user: `dev-${RUN}`, password, locale: 'zh-TW', width: 400, dark: true });
    await phone.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=terminal`);
    await phone.getByRole('button', { name: '開啟 shell' }).click();
    await screen(phone).getByText(/# $/).first().waitFor();
    await type(phone, "printf '\\033[31mred \\033[32mgreen \\033[34mblue\\033[0m %d\\n' 42");
    await screen(phone).getByText('42').first().waitFor();
    await shot(phone, 'terminal-phone-dark');
    await accessible(phone);
    assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no sideways scrolling');

    // whoever loses the right loses the shell, and the tab with it
    await api('PUT', `/api/v1/projects/demo/members/dev-${RUN}`, { role: 'guest' });
    await phone.getByRole('tab', { name: '終端機' }).waitFor({ state: 'detached' });
    await api('POST', `/api/v1/projects/demo/jobs/${job.id}/cancel`);

    const queued = await newPage({ locale: 'zh-CN' });
    await queued.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=terminal`);
    await queued.getByText('无法再打开 shell').waitFor();
    assert.ok(page);
  },

  'a terminal that prints without end stays usable': async ({ page, url, api }) => {
    const job = await submit(api, { name: `flood-${RUN}`, command: sh('trap "exit 0" TERM; while :; do sleep 1; done'), resources: { cpu: '1', memory: '64Mi' } });
    await ended(api, job.id, ['running']);
    await page.goto(`${url}/ui/p/demo/jobs/${job.id}?tab=terminal`);
    await page.getByRole('button', { name: 'Open a shell' }).click();
    await screen(page).getByText(/# $/).first().waitFor();
    await type(page, 'head -c 64000000 /dev/zero | tr "\\0" x | fold -w 100; echo all-$((1+1))');
    await page.waitForTimeout(1500);
    await page.getByRole('button', { name: 'Close the shell' }).click({ timeout: 60_000 });
    await page.getByRole('button', { name: 'Open a shell' }).click();
    await screen(page).getByText(/# $/).first().waitFor();
    await type(page, 'echo again-$((1+1))');
    await screen(page).getByText('again-2').first().waitFor();
    await api('POST', `/api/v1/projects/demo/jobs/${job.id}/cancel`);
  },
};
