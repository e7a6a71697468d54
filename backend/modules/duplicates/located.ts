/** A record by its place. */
export interface Located {
  readonly tenantId: string
  readonly id: string
}

/** A record's place as one text. */
export const recordKey = ({ tenantId, id }: Located): string => `${tenantId} ${id}`
