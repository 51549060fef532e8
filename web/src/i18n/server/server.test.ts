import { describe, expect, it } from 'vitest';
import { Translator } from '.';
import { errors as errorsCn, helps as helpsCn, params as paramsCn, reports as reportsCn, words as wordsCn } from './modules.zh-CN';
import { errors as errorsTw, helps as helpsTw, params as paramsTw, reports as reportsTw, words as wordsTw } from './modules.zh-TW';
import { server as cn } from './zh-CN';
import { server as tw } from './zh-TW';
import { zhCN } from '../zh-CN';
import { zhTW } from '../zh-TW';

const t = new Translator(tw);
const say = (s: string) => t.translate(s);

describe('sentences of runs of modules', () => {
  const runTw = new Translator({ ...helpsTw, ...errorsTw, ...tw }, { words: wordsTw });
  const runCn = new Translator({ ...helpsCn, ...errorsCn, ...cn }, { words: wordsCn });
  const ofRun = (s: string) => runTw.translate(s);

  it('are translated with their columns, lines and mending', () => {
    expect(ofRun("label_col: the table has no column 'kinds': did you mean 'kind'?")).toBe('label_col：表格沒有欄位「kinds」：您是不是要寫「kind」？');
    expect(ofRun("line 9, column 2 ('age'): 'old' is not a number")).toBe('第 9 行第 2 欄（「age」）：「old」不是數字');
    expect(ofRun("label column 'y' holds 0 classes: at least two are needed")).toBe('標籤欄位「y」有 0 個類別：至少需要兩個');
    expect(ofRun("parameter k: '1.5' is not a whole number")).toBe('參數 k：「1.5」不是整數型數字');
    expect(ofRun("column 'city' holds text, and the model was trained on numbers")).toBe('欄位「city」是文字，而模型是以數字訓練的');
    expect(ofRun("label column 'y', row 3: the label is infinite")).toBe('標籤欄位「y」第 3 列：標籤為無限大');
    expect(ofRun('total: it ends where a value is expected')).toBe('total：它在應有值的地方就結束了');
    expect(ofRun("expr: character 7: ')' is expected, and not 'text'")).toBe("expr：第 7 個字元：這裡應是')'，而不是「text」");
    expect(ofRun("there is no function 'sun': did you mean 'sum'?")).toBe('沒有函式「sun」：您是不是要寫「sum」？');
    expect([ofRun('if takes 3 values, and gets 1'), ofRun('max takes at least 2 values, and gets 1')]).toEqual(['if 需要 3 個值，這裡有 1 個', 'max 需要至少 2 個值，這裡有 1 個']);
    const leave = 'and numbers are needed here: leave';
    const encode = '(@numeric) or encode first (one_hot, string_index)';
    expect(ofRun(`column 'a' holds text, ${leave} it out ${encode}`)).toBe('欄位「a」是文字，而這裡需要數字：請排除它（@numeric），或先編碼（one_hot、string_index）');
    expect(ofRun(`columns 'a', 'text' and others hold text, ${leave} them out ${encode}`)).toBe("欄位 'a', 'text' 等是文字，而這裡需要數字：請排除它們（@numeric），或先編碼（one_hot、string_index）");
    expect(runCn.translate("column 'city' holds text, and the model was trained on numbers")).toBe('列“city”是文本，而模型是以数字训练的');
  });

  it('name types of ports and modules as the console does', () => {
    expect(ofRun('input table is not connected: Sort needs a table there')).toBe('輸入 table 沒有連接：排序在那裡需要資料表');
    expect(ofRun('input model takes a model, and file.table is a table')).toBe('輸入 model 接受模型，而 file.table 是資料表');
    expect(runCn.translate('input model takes a model, and text.transform is a transform')).toBe('输入 model 接受模型，而 text.transform 是转换');
    for (const type of ['table', 'model', 'transform', 'report', 'file'] as const) {
      expect([wordsTw[type], wordsCn[type]]).toEqual([zhTW[`studio.type_${type}`], zhCN[`studio.type_${type}`]]);
    }
  });

  it('hold names that are words of ours elsewhere, and these stay as they were given', () => {
    for (const name of ['text', 'numbers', 'infinite', 'table', 'file', 'month', 'user', 'Sort', 'whole ', 'not a number', 'text is', 'name another']) {
      expect(ofRun(`the table has no column '${name}'`)).toBe(`表格沒有欄位「${name}」`);
      expect(ofRun(`column '${name}' holds text, and numbers are needed here: name another`)).toBe(`欄位「${name}」是文字，而這裡需要數字：請指定其他欄位`);
    }
    for (const name of ['text', 'numbers', 'infinite', 'table', 'file', 'month', 'user', 'Sort']) {
      expect(ofRun(`${name}: the table has no rows`), 'a column that is computed').toBe(`${name}：表格沒有任何列`);
      expect(ofRun(`${name}: no file fits the pattern`)).toBe(`${name}：沒有檔案符合樣式`);
      expect(ofRun(`parameter cols: '${name}' is none of ${name}`)).toBe(`參數 cols：「${name}」不是其中之一：${name}`);
      expect(ofRun(`the model was trained with 2 columns that the table has not: ${name}`)).toBe(`模型訓練時用了 2 個表格所沒有的欄位：${name}`);
    }
    for (const name of Object.keys(wordsTw)) {
      expect(ofRun(name), 'the title of a component').toBe(name);
    }
  });

  it('that nobody translated stay English', () => {
    expect(ofRun('damaged: 3 classes of kind 9')).toBe('damaged: 3 classes of kind 9');
  });

  it('are the same in each language', () => {
    expect(Object.keys(errorsCn)).toEqual(Object.keys(errorsTw));
    expect(Object.keys(wordsCn)).toEqual(Object.keys(wordsTw));
    const marked = (all: Record<string, string>) => Object.entries(all).map(([format, to]) => [format, [...to.matchAll(/\{\d+:word\}/g)].map(String).sort()]);
    expect(marked({ ...cn, ...errorsCn })).toEqual(marked({ ...tw, ...errorsTw }));
  });
});

describe('sentences of the server', () => {
  it('are translated with what stands in their places', () => {
    expect(say('there is no user "lin"')).toBe('沒有使用者「lin」');
    expect(say('user is guest in project "demo" and needs job:submit: ask a maintainer')).toBe('user 在專案「demo」中是guest，需要 job:submit 權限：請洽維護者');
    expect(say('lin is guest in project "demo" and needs job:submit: ask a maintainer')).toBe('lin 在專案「demo」中是guest，需要 job:submit 權限：請洽維護者');
    expect(new Translator(cn).translate('there is no user "lin"')).toBe('没有用户“lin”');
  });

  it('are translated part by part where one wraps another', () => {
    expect(say('the job was not accepted: volumes[2]: there is no volume "x" in this project; it has none yet')).toBe(
      '工作未被接受：volumes[2]：這個專案沒有儲存區「x」；目前一個也沒有',
    );
    expect(say('open blob sha256:ab: No space left on device')).toBe('開啟 blob sha256:ab：磁碟沒有剩餘空間');
    expect(say("project name \"Bad\": use 1 to 64 lower-case letters and digits, with single '.', '_' or '-' between them")).toBe(
      '專案名稱「Bad」：請用 1 到 64 個小寫字母與數字，中間可有單個「.」、「_」或「-」',
    );
  });

  it('say where a query is wrong', () => {
    expect(say('invalid parameter "query": 1:7: parse error: unexpected ")"')).toBe('參數「query」無效：第 1 行第 7 欄：語法錯誤：非預期的 ")"');
    expect(say('invalid parameter "query": 2:1: parse error: unknown function with name "ratee"')).toBe('參數「query」無效：第 2 行第 1 欄：語法錯誤：沒有名為「ratee」的函式');
    expect(new Translator(cn).translate('1:4: parse error: unexpected end of input')).toBe('第 1 行第 4 列：语法错误：表达式未完就结束');
  });

  it('may have their places in another order, endings and plurals', () => {
    expect(say('waits for 2 GPUs: 1 of 4 free')).toBe('等待 2 個 GPU：4 個中有 1 個可用');
    expect(say('exit code 127: command not found')).toBe('結束碼 127：找不到命令');
    expect(say('exit code 3')).toBe('結束碼 3');
    expect(say('waits behind 3 jobs; the first one waits for 2.0 CPUs: 1.0 of 4.0 free')).toBe('排在 3 個工作之後；最前面的等待 2.0 CPU：4.0 中有 1.0 可用');
    expect(say("unknown key 'memroy'; did you mean 'memory'?")).toBe('不認得的鍵「memroy」；您是不是要寫「memory」？');
    expect(say("must be a list such as [sh, -c, 'echo hello'], but is a single value")).toBe("必須是清單，例如 [sh, -c, 'echo hello']，但這是單一值");
  });

  it('are translated in front of brackets and behind words that nobody knows', () => {
    expect(say('command "x" was not found in the image (executable file `x` not found in $PATH: No such file or directory)')).toBe(
      '映像檔中找不到命令 "x"（executable file `x` not found in $PATH：沒有這個檔案或目錄）',
    );
    expect(say('a new wrapper: there is no user "lin"')).toBe('a new wrapper：沒有使用者「lin」');
  });

  it('have hexadecimal numbers where the format says so, and nowhere else', () => {
    expect(say('read blocks/0000002a: Input/output error')).toBe('讀取 blocks/0000002a：輸入/輸出錯誤');
    expect(say('blocks/00ab34ff is damaged at 4096: its checksum does not fit')).toBe('blocks/00ab34ff 在位移 4096 處損毀：檢查碼不符');
    expect(say('blocks/no is damaged')).toBe('blocks/no is damaged');
    expect(say('the regular expression "(?=a)" has a group that RE2 does not have (look-around, conditions) at byte 1')).toBe(
      '正規表示式「(?=a)」在第 1 個位元組有問題：有 RE2 不支援的群組（環視、條件）',
    );
  });

  it('that are unknown, cut off or in another form come out as they are', () => {
    for (const s of ['', 'no such sentence', 'there is no user "lin', 'THERE IS NO USER "lin"', ' is missing…', '%s', '{1}', 'x'.repeat(5000)]) {
      expect(say(s)).toBe(s);
    }
  });

  it('hold names that look like formats, places or sentences, and these stay what they are', () => {
    expect(say('there is no user "%s {1} $1 $& \\1"')).toBe('沒有使用者「%s {1} $1 $& \\1」');
    expect(say('there is no user "is missing"')).toBe('沒有使用者「is missing」');
    expect(say('there is no user "a" is no member of "b"')).not.toContain('undefined');
    expect(say('\'{2}\' must be a number')).toBe('「{2}」必須是數字');
    expect(say('there is no project "<img src=x onerror=1>", or you may not see it')).toBe('沒有專案「<img src=x onerror=1>」，或者您無權檢視');
  });

  it('cost no more time when they are hostile', () => {
    const nested = 'image: '.repeat(280);
    const quotes = `"${'" is no member of "'.repeat(100)}"`;
    const many = `cannot ${'open '.repeat(300)}: : : :`;
    const began = performance.now();
    for (let i = 0; i < 20; i++) {
      [nested, quotes, many, '('.repeat(1990), `user ${'9'.repeat(1900)}`].forEach(say);
    }
    expect(performance.now() - began).toBeLessThan(5000); // a regular expression that goes back would need years
  });

  it('have the same formats in each language', () => {
    expect(Object.keys(cn)).toEqual(Object.keys(tw));
    for (const [format, text] of [...Object.entries(cn), ...Object.entries(tw)]) {
      expect(text, format).not.toMatch(/undefined|\{0\}/);
    }
  });

  it('tell of modules in each language; the name of a parameter is a word of its own, never one in a sentence', () => {
    expect(Object.keys(helpsCn)).toEqual(Object.keys(helpsTw));
    expect(Object.keys(paramsCn)).toEqual(Object.keys(paramsTw));
    expect(Object.keys(reportsCn)).toEqual(Object.keys(reportsTw));
    const both = new Translator({ ...helpsTw, ...tw }, { params: paramsTw, reports: reportsTw });
    expect(both.translate('The column to predict.')).toBe('要預測的欄位。');
    expect(both.word('params', 'label_col')).toBe('標籤欄位');
    expect(both.word('reports', 'constructor')).toBeUndefined();
    expect(both.translate("must be a number: label_col")).toContain('label_col');
  });
});
