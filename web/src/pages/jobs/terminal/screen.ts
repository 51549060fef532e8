// The screen of a terminal: xterm.js with our colours and keys, as large as its box.
import { FitAddon } from '@xterm/addon-fit';
import { Terminal, type ITheme } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';

const BACKLOG = 8 * 1024 * 1024; // bytes that are not drawn yet: what comes beyond is left out
const SCROLLBACK = 5000;

const light: ITheme = {
  background: '#fbfcfc', foreground: '#1d2627', cursor: '#0b6e6e', cursorAccent: '#fbfcfc', selectionBackground: '#b9dcd9',
  black: '#3b4a4b', red: '#b3261b', green: '#1d7a3e', yellow: '#855000', blue: '#1d5fb4', magenta: '#8a35a6', cyan: '#0b6e6e', white: '#586669',
  brightBlack: '#5c696b', brightRed: '#c0281c', brightGreen: '#187338', brightYellow: '#7d5500', brightBlue: '#2266c4',
  brightMagenta: '#9a3fb8', brightCyan: '#0a6a76', brightWhite: '#1d2627',
};
const dark: ITheme = {
  background: '#0a1010', foreground: '#d7e0e0', cursor: '#3cc4bc', cursorAccent: '#0a1010', selectionBackground: '#1f5552',
  black: '#93a1a2', red: '#ff8a7e', green: '#7fdc9d', yellow: '#f0c05a', blue: '#8fbcff', magenta: '#e0a3f5', cyan: '#6fdad2', white: '#d7e0e0',
  brightBlack: '#93a1a2', brightRed: '#ff8a7e', brightGreen: '#7fdc9d', brightYellow: '#f0c05a', brightBlue: '#8fbcff',
  brightMagenta: '#e0a3f5', brightCyan: '#6fdad2', brightWhite: '#ffffff',
};
export const themeOf = (isDark: boolean) => (isDark ? dark : light);

export interface ScreenEvents {
  typed: (text: string) => void;
  typedBinary: (text: string) => void;
  resized: (columns: number, rows: number) => void;
  left: () => void; // F6: the keyboard must not be caught in here
}

export class Screen {
  readonly terminal: Terminal;
  private readonly fit = new FitAddon();
  private readonly sized: ResizeObserver;
  private pending = 0;
  private skipped = 0;

  constructor(box: HTMLElement, options: { isDark: boolean; forReader: boolean; label: string; skippedText: (bytes: number) => string }, events: ScreenEvents) {
    this.terminal = new Terminal({
      cursorBlink: false,
      fontFamily: "ui-monospace, 'SF Mono', 'Cascadia Mono', Consolas, 'Liberation Mono', monospace",
      fontSize: 13,
      minimumContrastRatio: 4.5,
      screenReaderMode: options.forReader,
      scrollback: SCROLLBACK,
      theme: themeOf(options.isDark),
    });
    this.skippedText = options.skippedText;
    this.terminal.loadAddon(this.fit);
    this.terminal.open(box);
    this.terminal.textarea?.setAttribute('aria-label', options.label);
    this.terminal.onData(events.typed);
    this.terminal.onBinary(events.typedBinary);
    this.terminal.onResize(({ cols, rows }) => events.resized(cols, rows));
    this.terminal.attachCustomKeyEventHandler((e) => this.isForTerminal(e, events));
    this.sized = new ResizeObserver(() => this.fill());
    this.sized.observe(box);
    this.fill();
  }

  private readonly skippedText: (bytes: number) => string;

  /** What the browser does itself: copy what is selected, paste. */
  private isForTerminal(e: KeyboardEvent, events: ScreenEvents): boolean {
    if (e.type === 'keydown' && e.key === 'F6') {
      events.left();
      return false;
    }
    const control = e.ctrlKey || e.metaKey;
    const key = e.key.toLowerCase();
    if (control && key === 'c' && this.terminal.hasSelection()) {
      if (e.type === 'keydown') {
        setTimeout(() => this.terminal.clearSelection()); // the next Ctrl+C is for the program again
      }
      return false;
    }
    return !(control && key === 'v');
  }

  /** Hidden behind another tab it has no size. */
  private fill() {
    if (this.terminal.element && this.terminal.element.clientWidth > 0) {
      this.fit.fit();
    }
  }

  /** A program may print faster than a screen is drawn: then a part is left out, and told. */
  write(bytes: Uint8Array) {
    if (this.pending > BACKLOG) {
      this.skipped += bytes.length;
      return;
    }
    this.pending += bytes.length;
    this.terminal.write(bytes, () => {
      this.pending -= bytes.length;
      if (this.skipped > 0 && this.pending < BACKLOG / 2) {
        const n = this.skipped;
        this.skipped = 0;
        this.say(this.skippedText(n));
      }
    });
  }

  /** A line of ours; CAN ends a sequence that was cut. */
  say(text: string) {
    this.terminal.write(`\x18\x1b[0m\r\n\x1b[7m ${text} \x1b[0m\r\n`);
  }

  close() {
    this.sized.disconnect();
    this.terminal.dispose();
  }
}
