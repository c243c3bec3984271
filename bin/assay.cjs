#!/usr/bin/env node
'use strict';
require('./launch.cjs')('assay', 'cli/main.ts');
