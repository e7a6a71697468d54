/** Writes letters as people do whose keyboard lacks them: those that Unicode does not take apart, without their stroke. Of text in lower case. */
export const withoutStrokes = (text: string): string =>
  text.replace(/[ßæœøđðþłħıŋŧʼς]/g, (letter) => plain[letter] ?? '')

const plain: Readonly<Record<string, string>> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ł: 'l',
  ħ: 'h',
  ı: 'i',
  ŋ: 'n',
  ŧ: 't',
  ʼ: '',
  ς: 'σ',
}
