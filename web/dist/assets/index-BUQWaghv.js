<<<<<<<< HEAD:web/dist/assets/index-BUQWaghv.js
import{F as o,A as s,W as a,X as u}from"./index-C64BU1Oc.js";import{g as i,i as c,u as d}from"./vue-i18n-4twFCU15.js";const N="update:modelValue",f="change",l="input",n={prefix:Math.floor(Math.random()*1e4),current:0},I=Symbol("elIdInjection"),p=()=>i()?c(I,n):n,g=r=>{const e=p();!o&&e===n&&s("IdInjection",`Looks like you are using server rendering, you must provide a id provider to ensure the hydration process to be succeed
========
import{F as o,A as s,W as a,X as u}from"./index-CVEAu0C9.js";import{g as i,i as c,u as d}from"./vue-i18n-DbTVFn5b.js";const N="update:modelValue",f="change",l="input",n={prefix:Math.floor(Math.random()*1e4),current:0},I=Symbol("elIdInjection"),p=()=>i()?c(I,n):n,g=r=>{const e=p();!o&&e===n&&s("IdInjection",`Looks like you are using server rendering, you must provide a id provider to ensure the hydration process to be succeed
>>>>>>>> 1605c7fc (Pages of blind boxes: the wall, a box, opening an item card, orders and cards):web/dist/assets/index-DnILpOoY.js
usage: app.provide(ID_INJECTION_KEY, {
  prefix: number,
  current: number,
})`);const t=a();return u(()=>d(r)||`${t.value}-id-${e.prefix}-${e.current++}`)};export{f as C,l as I,N as U,g as u};
