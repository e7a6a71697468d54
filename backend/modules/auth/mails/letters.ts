import type { TokenPurpose } from '../account-tokens.ts'
import type { Letter } from './letter.ts'

/** Of the account mails, which go at once whatever the preferences say: the event that asks for one, and what it says. */
export const letters: Readonly<Record<string, Asked>> = {
  'user.email_verification_requested': { token: 'verify_email', path: '/verify-email', write: verifyEmail },
  'user.password_reset_requested': { token: 'reset_password', path: '/reset-password', write: resetPassword },
  'user.password_changed': { write: passwordChanged },
  'user.credentials_voided': { write: (facts) => credentialsVoided(facts) },
  'user.two_factor_enabled': { write: (facts) => twoFactorEnabled(facts) },
  'user.two_factor_disabled': { write: (facts) => twoFactorDisabled(facts) },
  'user.codes_guessed': { write: (facts) => codesGuessed(facts) },
  'user.recovery_codes_renewed': { write: (facts) => recoveryCodesRenewed(facts) },
  'user.recovery_code_used': { write: (facts) => recoveryCodeUsed(facts) },
  'user.passkey_added': { write: (facts) => passkeyAdded(facts) },
  'user.passkey_removed': { write: (facts) => passkeyRemoved(facts) },
}

interface Asked {
  /** The proof that the mail carries; without, it only tells. */
  readonly token?: TokenPurpose
  /** Where its link leads, below `PUBLIC_URL`. */
  readonly path?: string
  write(facts: Facts): Letter
}

/** What a letter is written of. */
export interface Facts {
  /** With the token; empty for a mail that only tells. */
  readonly url: string
  /** The address of who did it, when it is known. */
  readonly ip: string | null
  /** RFC 3339. */
  readonly at: string
}

function verifyEmail({ url }: Facts): Letter {
  return {
    subject: 'Confirm your email address',
    paragraphs: [
      'please confirm that this is your email address, within three days:',
      'If you have no account with us, somebody mistyped his address: there is nothing to do.',
    ],
    link: { label: 'Confirm my address', url },
  }
}

function resetPassword({ url, ip }: Facts): Letter {
  return {
    subject: 'Choose a new password',
    paragraphs: [
      'somebody asked for a new password of your account. Choose it here, within an hour:',
      `If it was not you, there is nothing to do: your password stays as it is. The request came from ${from(ip)}.`,
    ],
    link: { label: 'Choose a new password', url },
  }
}

function passwordChanged(facts: Facts): Letter {
  return told(
    'Your password was changed',
    'the password of your account was changed, and your other devices were signed out.',
    facts,
  )
}

const credentialsVoided = (facts: Facts): Letter =>
  told(
    'Your account is yours alone now',
    'your address was proved for the first time. Second factors, passkeys and sessions that the account had before are void, and its password unless you have just chosen it: whoever typed your address may have made them. By "forgotten password" you choose a password.',
    facts,
  )

const twoFactorEnabled = (facts: Facts): Letter =>
  told('A second factor was turned on', 'your account now asks for a code of your authenticator.', facts)

const twoFactorDisabled = (facts: Facts): Letter =>
  told('The second factor was turned off', 'your account no longer asks for a code of your authenticator.', facts)

const codesGuessed = (facts: Facts): Letter =>
  told(
    'Somebody has your password',
    'somebody sent your password with a hundred wrong codes of your authenticator, one after the other. No code is taken any more until you choose a new password; a recovery code or a passkey lets you in.',
    facts,
  )

const recoveryCodesRenewed = (facts: Facts): Letter =>
  told('New recovery codes', 'new recovery codes of your account were made, and the older ones are void.', facts)

const recoveryCodeUsed = (facts: Facts): Letter =>
  told('A recovery code was used', 'somebody signed in to your account with one of its recovery codes.', facts)

const passkeyAdded = (facts: Facts): Letter =>
  told('A passkey was added', 'a passkey was added to your account: who has it signs in without a password.', facts)

const passkeyRemoved = (facts: Facts): Letter =>
  told('A passkey was removed', 'a passkey of your account was removed.', facts)

function told(subject: string, what: string, { at, ip }: Facts): Letter {
  return {
    subject,
    paragraphs: [
      what,
      `That was at ${at.slice(0, 16).replace('T', ' ')} UTC, from ${from(ip)}.`,
      'If it was not you, choose a new password at once by "forgotten password", and tell whoever runs your ClientForge.',
    ],
  }
}

const from = (ip: string | null): string => (ip === null ? 'an unknown address' : `the address ${ip}`)
