/** SQL that prints an instant as the API shows it: RFC 3339 in UTC, with milliseconds. */
export const timeSql = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
