declare namespace Express {
  interface Request {
    /** Taken over from the caller or made; on every answer, log line and event that the request causes. */
    id: string
  }
}
