#!/usr/bin/env node
'use strict';
require('./launch.cjs')('assay-agent', 'agent/main.ts');
