import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

/** Where Debian, Ubuntu and others keep Chromium. `.ci/run` installs it, and counts a skipped test as a failure. */
const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** The browser of this machine; undefined when there is none, and tests that need one are skipped. */
export const browserPath = places.find((path) => existsSync(path))

/** Starts the browser, without a window. */
export const openBrowser = (): Promise<Browser> =>
  // As root, and in most containers, Chromium has no sandbox of its own.
  chromium.launch({ executablePath: browserPath ?? '', args: ['--no-sandbox'] })
