<<<<<<< HEAD:web/dist/assets/page-title-CToLh3sK.js
import{r as o,a as s,X as i}from"./vue-i18n-BbBUHjK2.js";import{u as n}from"./useApi-SF8tY_yo-CL4GyKuL.js";const a=o(null);function r(){const{path:t}=n();return e=>a.value={path:t,title:e}}function m(){const t=n(),{t:e}=s();i(()=>{const u=a.value?.path===t.path?a.value.title:t.meta.title&&e(t.meta.title);document.title=u?`${u} · Kuji`:"Kuji"})}export{r as a,m as u};
=======
<<<<<<<< HEAD:web/dist/assets/page-title-Cm-82O30.js
import{b as o,e as s,G as i}from"./vue-i18n-4twFCU15.js";import{u as n}from"./useApi-SF8tY_yo-CT1ImEw_.js";const a=o(null);function r(){const{path:t}=n();return e=>a.value={path:t,title:e}}function m(){const t=n(),{t:e}=s();i(()=>{const u=a.value?.path===t.path?a.value.title:t.meta.title&&e(t.meta.title);document.title=u?`${u} · Kuji`:"Kuji"})}export{r as a,m as u};
========
import{b as o,e as s,P as i}from"./vue-i18n-DbTVFn5b.js";import{u as n}from"./useApi-SF8tY_yo-C8_KyBlM.js";const a=o(null);function r(){const{path:t}=n();return e=>a.value={path:t,title:e}}function m(){const t=n(),{t:e}=s();i(()=>{const u=a.value?.path===t.path?a.value.title:t.meta.title&&e(t.meta.title);document.title=u?`${u} · Kuji`:"Kuji"})}export{r as a,m as u};
>>>>>>>> 1605c7fc (Pages of blind boxes: the wall, a box, opening an item card, orders and cards):web/dist/assets/page-title-DcrqtjEe.js
>>>>>>> 67a6bc6a (Pages of blind boxes: the wall, a box, opening an item card, orders and cards):web/dist/assets/page-title-Cm-82O30.js
