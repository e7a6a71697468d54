import { createHmac } from 'node:crypto'
import pg from 'pg'
import { parse } from 'pg-connection-string'
